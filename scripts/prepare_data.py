"""Fetch and verify a data set, and say what is in it.

python scripts/prepare_data.py
python scripts/prepare_data.py dataset=mnist dataset.root=my_data/mnist
"""

from common import add_overrides, compose_checked, load_dataset, make_parser, script

from fashion_softmax.dashboard.console import shorten


def main() -> None:
    """Compose the configuration, build its data set, print the facts."""
    parser = make_parser(__doc__)
    add_overrides(parser)
    options = parser.parse_args()
    with script():
        config = compose_checked(options.overrides)
        dataset = load_dataset(config)
        sizes = f"{len(dataset.train)} training and {len(dataset.test)} test images"
        shape = " x ".join(map(str, dataset.image_shape))
        print(f"{sizes} of {shape} (channels, height, width), {dataset.num_classes} classes")
        if "root" in config["dataset"]:
            how = "verified" if "name" in config["dataset"] else "read"  # of any other set there is no digest
            print(f"{how} in {shorten(config['dataset']['root'])}")


if __name__ == "__main__":
    main()
