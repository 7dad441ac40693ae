"""What the scripts share: their options, their errors, and saving and showing what they draw."""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_softmax.cli import end_on_signals, exit_on_error
from fashion_softmax.config.schema import project_dir, quote, resolve
from fashion_softmax.dashboard.console import shorten
from fashion_softmax.errors import ConfigError, MachineError
from fashion_softmax.files import write_atomically

FORMATS = ("png", "svg", "pdf")
ENDINGS = ", ".join(f".{suffix}" for suffix in FORMATS)
MAX_ROWS, MAX_COLUMNS, MAX_IMAGES = 1000, 100, 5000  # of a grid: half a minute

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fashion_softmax.data import Dataset


@contextmanager
def script() -> Iterator[None]:
    """Run a script: errors become a line and an exit code, log lines go to standard error."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # a terminal may know no ±
    logging.basicConfig(format="%(message)s")
    logging.getLogger("fashion_softmax").setLevel(logging.INFO)
    with exit_on_error():
        end_on_signals()
        yield


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser that shows a script's docstring, examples included, as its help."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Let a script take overrides as train.py does; `read_options` finds them between the options."""
    parser.add_argument("overrides", nargs="*", help="as for train.py, such as dataset=mnist dataset.resize=64")
    parser.add_argument("--config-dir", metavar="FOLDER", type=Path, help="a folder with options of your own")


def read_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line of a script that takes overrides; the folder of own options becomes one of them."""
    options = parser.parse_intermixed_args()
    if options.config_dir:
        if not options.config_dir.is_dir():
            parser.error(f"--config-dir {options.config_dir}: there is no such folder")
        options.overrides.append(f"hydra.searchpath=[{quote(f'file://{options.config_dir.absolute()}')}]")
    return options


def compose_checked(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose a configuration as train.py does, fill in its interpolations and check it.

    Raises:
        ConfigError: names what is not allowed.
    """
    from fashion_softmax.config.checking import check_values
    from fashion_softmax.config.jobs import compose

    config = resolve(compose(overrides))
    check_values(config)
    return config


def load_dataset(config: Mapping[str, Any]) -> "Dataset":
    """Load the data set that a checked configuration names."""
    from fashion_softmax.config.building import build_as
    from fashion_softmax.data import Dataset

    return build_as(Dataset, config, "dataset")


def add_output(parser: argparse.ArgumentParser, *default_names: str) -> None:
    """Let a script choose where its figure is saved, and show it in a window; `save_figure` reads this.

    Args:
        parser: of the script.
        *default_names: what is saved in `outputs/figures` if nothing is chosen, for the help.
    """
    default = ", ".join(default_names)
    help_text = f"where to save, a file that ends in {ENDINGS}; may be given again (default: outputs/figures/{default})"
    parser.add_argument("--output", metavar="FILE", type=_figure_path, action="append", help=help_text)
    parser.add_argument("--show", action="store_true", help="also open a window")


def require_drawable(options: argparse.Namespace) -> None:
    """Refuse a grid of so many images that drawing it would take minutes.

    Raises:
        ConfigError: names the options.
    """
    if options.rows * options.columns > MAX_IMAGES:
        raise ConfigError(f"--rows {options.rows} --columns {options.columns}: at most {MAX_IMAGES} images are drawn")


def whole_number(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Make the type of an option that is a whole number, for `add_argument`."""
    allowed = f"from {lowest} on" if highest is None else f"from {lowest} to {highest}"

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = lowest - 1
        if number < lowest or (highest is not None and number > highest):
            raise argparse.ArgumentTypeError(f"{text} is no whole number {allowed}")
        return number

    return read


def add_grid(parser: argparse.ArgumentParser, *, rows: int, columns: int) -> None:
    """Let a script choose the size of its grid of images, which `require_drawable` checks."""
    parser.add_argument("--rows", type=whole_number(1, MAX_ROWS), default=rows, help=f"of the grid (default: {rows})")
    help_text = f"of the grid (default: {columns})"
    parser.add_argument("--columns", type=whole_number(1, MAX_COLUMNS), default=columns, help=help_text)
    parser.add_argument("--start", type=whole_number(0), default=0, metavar="N", help="first image, counted from 0")


def take_turns(indices: Sequence[int], labels: Sequence[int]) -> list[int]:
    """Order images so that classes take turns, if they come class by class; a mixed order is left as it is.

    Args:
        indices: of images.
        labels: of all images.
    """
    own = [labels[index] for index in indices]
    if own != sorted(own):
        return list(indices)
    seen: Counter[int] = Counter()
    turns = []
    for index, label in zip(indices, own, strict=True):
        turns.append((seen[label], label, index))
        seen[label] += 1
    return [index for _, _, index in sorted(turns)]


def add_run(parser: argparse.ArgumentParser) -> None:
    """Let a script choose a trained run, and a picture of the user's own; `load_run_and_photo` reads them."""
    parser.add_argument(
        "paths", nargs="*", metavar="RUN [PICTURE]",
        help="a run's folder, or one above (default: outputs), and a picture of your own; trust=PACKAGE lets the run "
        "name classes of your own",
    )  # fmt: skip
    parser.add_argument("--best", action="store_true", help="take the best run of the best setting, not the latest")
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last", help="its epoch (default: last)")


def save_figure(figure: "Figure", options: argparse.Namespace, *default_names: str) -> None:
    """Save a figure where the options say, tell where that is, and show it if that was asked for.

    Args:
        figure: of matplotlib's.
        options: with those of `add_output`.
        *default_names: files in `outputs/figures`, where the options name none.

    Raises:
        MachineError: it cannot be written, or no window can be opened here.
    """
    from figures import encode

    for path in choose_paths(options, *default_names):
        save(path, encode(figure, path.suffix[1:].lower()))
    if options.show:
        from matplotlib import pyplot

        if not pyplot.figure(figure).canvas.required_interactive_framework:
            raise MachineError("--show: no window can be opened here: there is no display, or Python has no tkinter")
        pyplot.show()


def choose_paths(options: argparse.Namespace, *default_names: str) -> list[Path]:
    """Tell where a figure is to be saved: where `--output` says, else under its names in `outputs/figures`."""
    folder = Path(project_dir(), "outputs", "figures")
    return list(dict.fromkeys(options.output or [folder / name for name in default_names]))


def save(path: Path, content: bytes) -> None:
    """Save a file, its folder made if needed, and tell where it is.

    Raises:
        MachineError: it cannot be written.
    """
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():  # such as a pipe, which must not be replaced by a file
            path.write_bytes(content)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
    except OSError as error:
        raise MachineError(f"{path}: cannot be written: {error.strerror}") from error
    print(f"saved {shorten(path)}", file=sys.stderr)


def _figure_path(text: str) -> Path:
    path = Path(text)
    if path.suffix[1:].lower() not in FORMATS or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no file that ends in {ENDINGS}")
    return path
