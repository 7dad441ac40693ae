"""Look into a trained run: the weights of each class as an image, and which pixels of one image spoke for what.

python scripts/inspect_model.py                        the latest run below outputs/, the first test image
python scripts/inspect_model.py RUN --image 42
python scripts/inspect_model.py RUN photo.png          a picture of your own
"""

import argparse
from typing import TYPE_CHECKING, Any

from chosen_run import load_run_and_photo
from common import (
    add_output,
    add_run,
    make_parser,
    save_figure,
    script,
    whole_number,
)

from fashion_softmax.errors import ConfigError

if TYPE_CHECKING:
    from photo import Photo
    from torch import Tensor

    from fashion_softmax.viewing.trained import TrainedRun


def main() -> None:
    """Load the run, account for one image, save the figure."""
    parser = make_parser(__doc__)
    add_run(parser)
    parser.add_argument("--image", type=whole_number(0), default=0, metavar="N", help="of the test images (default: 0)")
    add_output(parser, "inspection.png")
    options = parser.parse_intermixed_args()
    with script():
        run, photo = load_run_and_photo(options, "image")
        from inspection_figures import draw_inspection

        from fashion_softmax.learning.models import SoftmaxRegression

        model, templates = run.parts.member.model, None
        if isinstance(model, SoftmaxRegression):
            templates = model.weight.detach().unflatten(1, run.parts.dataset.image_shape).mean(1).numpy()
            if (num_channels := run.parts.dataset.image_shape[0]) > 1:
                print(f"weights: the mean over {num_channels} channels; evidence: their sum")
        else:
            print(
                f"a {type(model).__name__} has no weights of a class to be shown as an image; evidence is first-order"
            )
        explanation = *explain_image(run, *choose_image(run, photo, options)), templates
        save_figure(draw_inspection(*explanation), options, "inspection.png")


def choose_image(
    run: "TrainedRun", photo: "Photo | None", options: argparse.Namespace
) -> "tuple[Tensor, int | None, str]":
    """Choose the image: bytes (C, H, W), its class where that is known, and what to call it.

    Raises:
        ConfigError: there is no such test image.
    """
    if photo:
        import torch

        return torch.from_numpy(photo.image), None, "your picture"
    test = run.parts.dataset.test
    if options.image >= len(test):
        raise ConfigError(f"--image {options.image}: there are test images 0 to {len(test) - 1}")
    return test.images[options.image], int(test.labels[options.image]), f"test image {options.image}"


def explain_image(run: "TrainedRun", image: "Tensor", label: int | None, name: str) -> tuple[Any, ...]:
    """Account for what the run says of an image: over all classes, and over the class that came closest.

    Of an image that is classified wrongly, the second account is over its true class.

    Returns:
        The first five arguments of `draw_inspection`.
    """
    from inspection_figures import explain

    from fashion_softmax.dashboard.pictures import to_pixels
    from fashion_softmax.learning.models import SoftmaxRegression

    names = run.class_names
    probabilities = run.predict_probabilities(image)
    order = (-probabilities).argsort(kind="stable").tolist()
    predicted, runner_up = order[0], order[min(1, len(order) - 1)]
    rival = runner_up if label in (None, predicted) else label
    is_known = "" if label is None else f", {names[label]}:"
    title = f"{name}{is_known} seen as {names[predicted]}, {100 * probabilities[predicted]:.0f} %"
    print(title)
    pixels = run.to_float(image)
    evidence, rest = {}, "bias" if isinstance(run.parts.member.model, SoftmaxRegression) else "rest"
    others: list[tuple[int | None, str]] = [(None, "the mean of all")]
    if rival != predicted:  # of a single class there is none
        others.append((rival, names[rival]))
    for against, whom in others:
        shares, lead = explain(run.parts.member.model, pixels, predicted, against)
        explained = float(shares.sum())
        heading = f"{names[predicted]} over {whom}"
        numbers = f"lead {lead:+.2f} = pixels {explained:+.2f}, {rest} {lead - explained:+.2f}"
        print(f"  {heading}: {numbers}")
        evidence[f"{heading}\n{numbers}"] = shares.numpy()
    return title, to_pixels(image[None].numpy())[0], probabilities, names, evidence


if __name__ == "__main__":
    main()
