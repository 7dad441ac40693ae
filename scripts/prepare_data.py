"""Fetch and verify a data set, and say what is in it.

python scripts/prepare_data.py
python scripts/prepare_data.py dataset=mnist dataset.root=my_data/mnist
"""

import argparse
import logging

from fashion_softmax.cli import exit_on_error
from fashion_softmax.config import build, compose
from fashion_softmax.console import shorten
from fashion_softmax.validation import validate


def main() -> None:
    """Compose the configuration, build its data set, print the facts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, as for train.py")
    overrides = parser.parse_args().overrides
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with exit_on_error():
        cfg = compose(overrides)
        validate(cfg)
        dataset = build(cfg.dataset, "dataset")
    sizes = f"{len(dataset.train)} training and {len(dataset.test)} test images"
    shape = " x ".join(map(str, dataset.image_shape))
    print(f"{sizes} of {shape} (channels, height, width), {dataset.num_classes} classes")
    if "root" in cfg.dataset:
        print(f"verified in {shorten(cfg.dataset.root)}")


if __name__ == "__main__":
    main()
