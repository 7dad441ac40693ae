"""Fetch and verify a data set, and say what is in it.

python scripts/prepare_data.py
python scripts/prepare_data.py dataset=mnist dataset.root=my_data/mnist
"""

from common import add_overrides, make_parser, script

from fashion_softmax.config.checking import validate
from fashion_softmax.config.schema import build, compose
from fashion_softmax.dashboard.console import shorten


def main() -> None:
    """Compose the configuration, build its data set, print the facts."""
    parser = make_parser(__doc__)
    add_overrides(parser)
    options = parser.parse_args()
    with script():
        cfg = compose(options.overrides)
        validate(cfg)
        dataset = build(cfg.dataset, "dataset")
        sizes = f"{len(dataset.train)} training and {len(dataset.test)} test images"
        shape = " x ".join(map(str, dataset.image_shape))
        print(f"{sizes} of {shape} (channels, height, width), {dataset.num_classes} classes")
        if "root" in cfg.dataset:
            print(f"verified in {shorten(cfg.dataset.root)}")


if __name__ == "__main__":
    main()
