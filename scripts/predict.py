"""Let a trained run predict: test images under their true and predicted names, or a picture of your own.

python scripts/predict.py                              the latest run below outputs/
python scripts/predict.py outputs --best --wrong       the best run's mistakes, the most confident first
python scripts/predict.py RUN --rows 3 --columns 6 --start 100
python scripts/predict.py RUN photo.png                your own picture: any size, colour or transparent
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from fashion_softmax.console import count, make_console, shorten
from fashion_softmax.errors import ConfigError
from fashion_softmax.scripting import (
    add_grid,
    add_output,
    add_run,
    load_run_and_photo,
    make_parser,
    require_drawable,
    save_figure,
    script,
)

if TYPE_CHECKING:
    from fashion_softmax.photo import Photo
    from fashion_softmax.records import Predictions
    from fashion_softmax.trained import TrainedRun

BAR_WIDTH = 40  # characters
MAX_BARS = 20


def main() -> None:
    """Load the run, let it predict, print and save what it says."""
    parser = make_parser(__doc__)
    add_run(parser)
    parser.add_argument("--wrong", action="store_true", help="show mistakes only, the most confident first")
    add_grid(parser, rows=2, columns=9)
    add_output(parser, "predictions.png")
    options = parser.parse_intermixed_args()
    with script():
        require_drawable(options)
        run, photo = load_run_and_photo(options)
        print(f"{shorten(run.run_dir)}, {count(run.epoch, 'epoch')}")
        if photo:
            options.default_names = ("picture.png",)
            predict_photo(run, photo, options)
        else:
            predict_test_images(run, options)


def predict_test_images(run: "TrainedRun", options: argparse.Namespace) -> None:
    """Draw test images with what the run says of them.

    Raises:
        ConfigError: there is no test image, or no mistake, from `--start` on.
    """
    import numpy as np

    from fashion_softmax.figures.images import Caption, draw_grid

    test, names = run.parts.dataset.test, run.parts.dataset.class_names
    first, last = options.start, options.start + options.rows * options.columns
    if options.wrong:
        options.default_names = ("mistakes.png",)
        predictions = run.predict(test.images, test.labels)
        wrong = (~predictions.is_correct).nonzero()[0]
        indices = wrong[np.argsort(-predictions.confidences[wrong], kind="stable")][first:last]
        what = f"{len(wrong)} of {len(test)} test images are wrong"
        title = f"The {len(indices)} most confident mistakes" + (f" after {first} others" if first else "")
    else:
        indices = np.arange(len(test))[first:last]
        predictions = run.predict(test.images[first:last], test.labels[first:last])
        what = f"{predictions.is_correct.sum()} of these {count(len(indices), 'test image')} are right"
        title = f"Test images {first} to {first + len(indices) - 1}: {what}"
    print(what)
    if options.wrong:
        make_console().print(make_class_table(predictions, names))
    if not len(indices):
        total = (~predictions.is_correct).sum() if options.wrong else len(test)
        if not total:
            return
        raise ConfigError(f"--start {first}: there are {total} of them, 0 to {total - 1}")
    captions = []
    for place in indices if options.wrong else range(len(indices)):
        true, predicted = names[predictions.labels[place]], names[predictions.classes[place]]
        ending, is_mistake = f" {100 * predictions.confidences[place]:.0f} %", not predictions.is_correct[place]
        captions.append(Caption((f"true: {true}", predicted), ending, is_mistake=is_mistake))
    save_figure(draw_grid(test.images[indices].numpy(), captions, options.columns, title), options)


def make_class_table(predictions: "Predictions", names: Sequence[str]) -> Table:
    """Show how many images of each class are classified correctly, and what the others are most often taken for."""
    import numpy as np

    table = Table("class")
    for column in ("images", "right"):
        table.add_column(column, justify="right")
    table.add_column("most often mistaken for")
    for label, name in enumerate(names):
        is_of_class = predictions.labels == label
        if not is_of_class.any():
            continue
        said = np.bincount(predictions.classes[is_of_class], minlength=len(names))
        right, said[label] = said[label], 0
        other = f"{names[said.argmax()]}, {said.max()}" if said.any() else "-"
        table.add_row(Text(name), str(is_of_class.sum()), f"{100 * right / is_of_class.sum():.1f} %", Text(other))
    return table


def predict_photo(run: "TrainedRun", photo: "Photo", options: argparse.Namespace) -> None:
    """Draw a picture of the user's with what the run says of it, and print the probabilities as bars."""
    import torch

    from fashion_softmax.figures.images import draw_own_picture

    names = run.parts.dataset.class_names
    probabilities = run.predict_probabilities(torch.from_numpy(photo.image))
    console, table = make_console(), Table.grid(padding=(0, 1))
    block = "\u2588" if console.encoding.startswith("utf") else "#"
    for index in (-probabilities).argsort(kind="stable")[:MAX_BARS]:
        bar = block * round(float(probabilities[index]) * BAR_WIDTH)
        table.add_row(Text(names[index]), f"{100 * probabilities[index]:5.1f} %", Text(bar, "blue"))
    console.print(table)
    if len(names) > MAX_BARS:
        print(f"the {MAX_BARS} most probable of {len(names)} classes")
    save_figure(draw_own_picture(photo.picture, photo.image, probabilities, names), options)


if __name__ == "__main__":
    main()
