"""Draw images of a data set under their names, and say what the data set holds.

python scripts/show_samples.py                                          the lesson's 2 x 9 training images
python scripts/show_samples.py dataset.resize=64 dataset.batch_size=32  as a run with these overrides sees them
python scripts/show_samples.py dataset=mnist --split test --rows 3 --columns 6 --start 100
python scripts/show_samples.py --only shirt --only coat                 images of some classes only
"""

import argparse
from typing import TYPE_CHECKING

from common import (
    add_grid,
    add_output,
    add_overrides,
    compose_checked,
    load_dataset,
    make_parser,
    read_options,
    require_drawable,
    save_figure,
    script,
    take_turns,
)
from rich.table import Table

from fashion_softmax.config.checking import suggest
from fashion_softmax.dashboard.console import make_console
from fashion_softmax.errors import ConfigError, printable

if TYPE_CHECKING:
    from fashion_softmax.data import Dataset, Split

SPLITS = {"train": "training images", "val": "validation images", "test": "test images"}


def main() -> None:
    """Build the data set, print its facts, save the figure."""
    parser = make_parser(__doc__)
    add_overrides(parser)
    parser.add_argument("--split", choices=tuple(SPLITS), default="train", help="(default: train)")
    parser.add_argument("--only", metavar="NAME", action="append", help="of a class; may be given again")
    add_grid(parser, rows=2, columns=9)
    add_output(parser, "samples.png")
    options = read_options(parser)
    with script():
        require_drawable(options)
        config = compose_checked(options.overrides)
        dataset = load_dataset(config)
        indices = choose(dataset, options)
        print_facts(dataset, config["seed"])
        from image_figures import draw_grid

        split = getattr(dataset, options.split)
        captions = [(dataset.class_names[label],) for label in split.labels[indices].tolist()]
        name = (
            config["dataset"].get("name") or config["dataset"]["_target_"].rpartition("_")[2]
        )  # load_idx, make_synthetic
        which = f"{SPLITS[options.split]} {indices[0]} to {indices[-1]} of {len(split)}"
        if indices != list(range(indices[0], indices[-1] + 1)):
            which = f"{len(indices)} {SPLITS[options.split]} of all classes"
        if options.only:
            which = f"{len(indices)} {SPLITS[options.split]} of {', '.join(options.only)}"
        title = f"{name}: {which}"
        save_figure(draw_grid(split.images[indices].numpy(), captions, options.columns, title), options, "samples.png")


def choose(dataset: "Dataset", options: argparse.Namespace) -> list[int]:
    """Choose the images of the grid: the first ones from `--start` on that have the wanted names.

    Raises:
        ConfigError: there is no such split, class or image.
    """
    split: Split | None = getattr(dataset, options.split)
    if split is None:
        raise ConfigError("--split val: there are no validation images; hold some out with dataset.val_size=0.1")
    for name in options.only or ():
        if name not in dataset.class_names:
            raise ConfigError(f"--only {name}: there is no such class{suggest(name, dataset.class_names)}")
    wanted = {label for label, name in enumerate(dataset.class_names) if not options.only or name in options.only}
    found = [index for index, label in enumerate(split.labels.tolist()) if index >= options.start and label in wanted]
    if options.start >= len(split):
        raise ConfigError(f"--start {options.start}: there are {SPLITS[options.split]} 0 to {len(split) - 1}")
    if not found:
        raise ConfigError(f"--only: from {options.start} on there is no image of {', '.join(options.only)}")
    return take_turns(found, split.labels.tolist())[: options.rows * options.columns]


def print_facts(dataset: "Dataset", seed: int) -> None:
    """Print sizes, shapes, the values' range and how many images each class has."""
    from fashion_softmax.data import Batches

    splits = {name: split for name in SPLITS if (split := getattr(dataset, name)) is not None}
    images, labels = next(Batches(dataset.train, dataset.batch_size, seed=seed).epoch(0))
    pixels = dataset.train.images
    print(", ".join(f"{len(split)} {SPLITS[name]}" for name, split in splits.items()))
    print(f"an image: {' x '.join(map(str, dataset.image_shape))} (channels, height, width)")
    print(f"in memory: {pixels.dtype}, {pixels.min()} to {pixels.max()}".replace("torch.", ""))
    print(
        f"a batch: images {list(images.shape)} {images.dtype}, labels {list(labels.shape)} {labels.dtype}, "
        f"values {images.min():g} to {images.max():g}".replace("torch.", "")
    )
    table = Table("label", "name", title="Images of each class", title_justify="left")
    for name in splits:
        table.add_column(name, justify="right")
    counts = [split.labels.bincount(minlength=dataset.num_classes).tolist() for split in splits.values()]
    for label, name in enumerate(dataset.class_names):
        table.add_row(str(label), printable(name), *(str(count[label]) for count in counts))
    make_console().print(table)


if __name__ == "__main__":
    main()
