"""Let a trained run predict: test images under their true and predicted names, or a picture of your own.

python scripts/predict.py                              the latest run below outputs/
python scripts/predict.py outputs --best --wrong       the best run's mistakes, the most confident first
python scripts/predict.py RUN --rows 3 --columns 6 --start 100
python scripts/predict.py RUN photo.png                your own picture: any size, colour or transparent
python scripts/predict.py RUN digit.png --as-is        only scaled, for a picture that looks like the data set's
python scripts/predict.py RUN --calibration            how often it is right when it is so sure: a reliability diagram
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chosen_run import load_run_and_photo
from common import (
    add_grid,
    add_output,
    add_run,
    choose_paths,
    make_parser,
    require_drawable,
    save,
    save_figure,
    script,
    take_turns,
)
from rich.table import Table
from rich.text import Text

from fashion_softmax.dashboard.console import count, make_console
from fashion_softmax.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from photo import Photo

    from fashion_softmax.learning.predictions import Predictions
    from fashion_softmax.viewing.trained import TrainedRun

BAR_WIDTH = 40  # characters
MAX_BARS = 20


def main() -> None:
    """Load the run, let it predict, print and save what it says."""
    parser = make_parser(__doc__)
    add_run(parser)
    parser.add_argument("--wrong", action="store_true", help="show mistakes only, the most confident first")
    parser.add_argument("--as-is", action="store_true", help="scale the picture only: do not trim, invert or centre it")
    parser.add_argument("--calibration", action="store_true", help="compare how sure it is with how often it is right")
    add_grid(parser, rows=2, columns=9)
    add_output(parser, "predictions.png", "mistakes.png", "picture.png", "calibration.png")
    options = parser.parse_intermixed_args()
    with script():
        require_drawable(options)
        run, photo = load_run_and_photo(options, "wrong", "start", "calibration")
        if photo:
            predict_photo(run, photo, options)
        elif options.calibration:
            show_calibration(run, options)
        else:
            predict_test_images(run, options)


def predict_test_images(run: "TrainedRun", options: argparse.Namespace) -> None:
    """Draw test images with what the run says of them.

    Raises:
        ConfigError: there is no such image, or no such mistake, from `--start` on.
    """
    from image_figures import draw_grid

    test, names = run.parts.dataset.test, run.class_names
    indices = find_mistakes(run) if options.wrong else take_turns(range(len(test)), test.labels.tolist())
    if not len(indices):
        return
    if options.start >= len(indices):
        raise ConfigError(f"--start {options.start}: there are {len(indices)} of them, 0 to {len(indices) - 1}")
    chosen = [int(index) for index in indices[options.start : options.start + options.rows * options.columns]]
    said = run.predict(test.images[chosen], test.labels[chosen])
    captions = said.word(range(len(chosen)), names)
    mistakes = (~said.is_correct).nonzero()[0].tolist()
    if options.wrong:
        after = f", after the first {options.start}" if options.start else ""
        title = f"The most confident of {count(len(indices), 'mistake')}{after}"
    else:
        right = f"{said.is_correct.sum()} of {count(len(chosen), 'prediction')} are right"
        print(right)
        which = f"{chosen[0]} to {chosen[-1]}" if chosen[-1] - chosen[0] == len(chosen) - 1 else "of all classes"
        title = f"Test images {which}: {right}"
    figure = draw_grid(test.images[chosen].numpy(), captions, options.columns, title, mistakes)
    save_figure(figure, options, "mistakes.png" if options.wrong else "predictions.png")


def find_mistakes(run: "TrainedRun") -> "NDArray[np.intp]":
    """Find the test images that are classified wrongly, the most confident first, and print them by class."""
    test = run.parts.dataset.test
    predictions = run.predict(test.images, test.labels)
    wrong = (~predictions.is_correct).nonzero()[0]
    print(f"{len(wrong)} of {len(test)} test images are wrong")
    make_console().print(make_class_table(predictions, run.class_names))
    return predictions.sort_surest(wrong)


def make_class_table(predictions: "Predictions", names: Sequence[str]) -> Table:
    """Show how many images of each class are classified correctly, and what the others are most often taken for."""
    table = Table("class")
    for column in ("images", "right"):
        table.add_column(column, justify="right")
    table.add_column("most often mistaken for")
    for label, said in enumerate(predictions.count_confusions(len(names))):
        if not (num_images := said.sum()):
            continue
        right, said[label] = said[label], 0
        other = f"{names[said.argmax()]}, {said.max()}" if said.any() else "-"
        table.add_row(Text(names[label]), str(num_images), f"{100 * right / num_images:.1f} %", Text(other))
    return table


def show_calibration(run: "TrainedRun", options: argparse.Namespace) -> None:
    """Print and draw how often a run is right, beside how sure it is of its predictions, for all test images.

    Raises:
        ConfigError: the picture is wanted in another format than PNG.
    """
    from fashion_softmax.dashboard.pictures import draw_reliability, to_png

    if wrong := [path for path in options.output or () if path.suffix.lower() != ".png"]:
        raise ConfigError(
            f"--output {wrong[0]}: the reliability diagram is made of pixels; name a file that ends in .png"
        )
    test = run.parts.dataset.test
    predictions = run.predict(test.images, test.labels)
    table = Table("confidence")
    for column in ("images", "how sure", "how often right"):
        table.add_column(column, justify="right")
    counts, confidences, accuracies, error = predictions.count_reliability()
    edges = [f"{100 * edge / len(counts):.0f}" for edge in range(len(counts) + 1)]
    for index in counts.nonzero()[0].tolist():
        shares = (f"{100 * values[index]:.1f} %" for values in (confidences, accuracies))
        table.add_row(f"{edges[index]} to {edges[index + 1]} %", str(counts[index]), *shares)
    make_console().print(table)
    surplus = 100 * float(predictions.confidences.mean() - predictions.is_correct.mean())
    print(f"expected calibration error: {100 * error:.2f} % (0 is best)")
    print(f"on average it is right {abs(surplus):.2f} points {'less' if surplus > 0 else 'more'} often than it says")
    for path in choose_paths(options, "calibration.png"):
        save(path, to_png(draw_reliability(predictions, scale=3)))


def predict_photo(run: "TrainedRun", photo: "Photo", options: argparse.Namespace) -> None:
    """Draw a picture of the user's with what the run says of it, and print the probabilities as bars."""
    import torch
    from figures import PAGE_WIDTH, new_figure
    from image_figures import draw_prediction

    from fashion_softmax.dashboard.pictures import to_pixels

    names = run.class_names
    probabilities = run.predict_probabilities(torch.from_numpy(photo.image))
    console, table = make_console(), Table.grid(padding=(0, 1))
    block = "\u2588" if console.encoding.startswith("utf") else "#"
    for index in (-probabilities).argsort(kind="stable")[:MAX_BARS]:
        bar = block * round(float(probabilities[index]) * BAR_WIDTH)
        table.add_row(Text(names[index]), f"{100 * probabilities[index]:5.1f} %", Text(bar, "blue"))
    console.print(table)
    if len(names) > MAX_BARS:
        print(f"the {MAX_BARS} most probable of {len(names)} classes")
    best = int(probabilities.argmax())
    figure = new_figure(PAGE_WIDTH, max(4.2, 2.4 + 0.24 * min(len(names), MAX_BARS)))
    images = {"your picture": photo.picture, "what the model saw": to_pixels(photo.image[None])[0]}
    draw_prediction(figure, f"{names[best]}: {100 * probabilities[best]:.0f} %", images, probabilities, names)
    save_figure(figure, options, "picture.png")


if __name__ == "__main__":
    main()
