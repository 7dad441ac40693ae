"""Compare recorded runs: a leaderboard in the terminal, tables, a figure and a page.

python scripts/compare_runs.py                                  all runs below outputs/
python scripts/compare_runs.py outputs/sweeps/2026-11-23* --by loss,model
python scripts/compare_runs.py --where loss=mse,huber 'optimizer.lr>=0.1'
python scripts/compare_runs.py --html report.html --png curves.png
python scripts/compare_runs.py --diff outputs/runs/A outputs/runs/B
"""

import argparse
import json
import os
import sys
from pathlib import Path

from common import ENDINGS, FORMATS, make_parser, save, script
from comparison_tables import show_by, show_differences, to_csv
from conditions import find_key, select
from rich.console import Console

from fashion_softmax.config.schema import project_dir
from fashion_softmax.dashboard.console import make_console
from fashion_softmax.errors import CheckpointError, ConfigError
from fashion_softmax.files import finite_or_none
from fashion_softmax.runs.records import read_folder
from fashion_softmax.viewing.leaderboard import show_leaderboard
from fashion_softmax.viewing.ranking import Comparison, compare
from fashion_softmax.viewing.report import make_report, to_dict
from fashion_softmax.viewing.runs import read_runs

STDOUT = "-"
WIDE = 250


def main() -> None:
    """Read the runs, compare them, and show or write what was asked for."""
    with script():
        options = parse_arguments(sys.argv[1:])
        if options.diff:
            first, second = (read_folder(_require_run(folder)) for folder in options.diff)
            show_differences(_make_console(), first, second)
            return
        runs, left_out = select(read_runs(options.folders), options.where)
        comparison = compare(runs, options.metric)
        if STDOUT not in (options.csv, options.json):
            show(comparison, options.by, options.limit)
        if left_out:
            print(left_out, file=sys.stderr)
        write(comparison, options)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; a folder that stands after an option such as --csv is one of the folders."""
    parser = make_parser(__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="runs, sweeps or folders above them (default: outputs)")
    parser.add_argument("--by", metavar="KEY", help="average by hyper-parameters, such as loss or loss,model")
    help_text = (
        "compare runs that are so, such as loss=mse,huber 'optimizer.lr>=0.1' state=completed; dataset=mnist,kmnist "
    )
    help_text += "compares two data sets (default: the data set of the latest run)"
    parser.add_argument("--where", metavar="CONDITION", nargs="+", action="extend", default=[], help=help_text)
    parser.add_argument("--metric", metavar="TAG", help="rank by this, such as test/cross_entropy")
    parser.add_argument("--limit", metavar="N", type=int, default=30, help="rows of a table (default: 30); 0 for all")
    parser.add_argument("--diff", metavar="RUN", nargs=2, type=Path, help="show two runs side by side")
    files = {"csv": STDOUT, "json": STDOUT, "html": "report.html", "png": "curves.png"}
    contents = ("a row for each run", "all that is known of them", "a page with tables and pictures", "the curves")
    for (name, default), what in zip(files.items(), contents, strict=True):
        where = "to the terminal" if default == STDOUT else f"into {default}"
        help_text = f"write {what} into FILE (without a name {where})"
        parser.add_argument(f"--{name}", metavar="FILE", nargs="?", const=default, help=help_text)
    options = parser.parse_args(arguments)
    if options.limit < 0:
        parser.error(f"--limit {options.limit}: a number of rows is expected, 0 for all")
    wanted = [name for name in files if getattr(options, name) is not None]
    if options.diff and (wanted or options.by or options.where):
        parser.error("--diff shows two runs and nothing else: leave out the other options")
    for name, default in files.items():
        given = getattr(options, name)
        if given and Path(given).is_dir():
            options.folders.append(Path(given))
            setattr(options, name, default)
    options.folders += [Path(text) for text in options.where if Path(text).is_dir()]
    options.where = [text for text in options.where if not Path(text).is_dir()]
    if options.csv == options.json == STDOUT:
        parser.error("--csv and --json cannot both go to the terminal: name a FILE")
    if options.png and Path(options.png).suffix[1:].lower() not in FORMATS:
        parser.error(f"--png {options.png}: a file that ends in {ENDINGS} is expected")
    options.folders = options.folders or [Path(project_dir()) / "outputs"]
    return options


def show(comparison: Comparison, by: str | None, limit: int) -> None:
    """Show the leaderboard, or the averages by a key."""
    console = _make_console()
    if by is None:
        show_leaderboard(console, comparison, limit)
        return
    if "seed" in by.split(","):
        raise ConfigError("--by seed: a setting is the mean over its seeds; --where seed=0 compares those of one seed")
    if not comparison.settings:
        raise CheckpointError(f"--by {by}: there is nothing to average, since no run is complete")
    keys = list(dict.fromkeys(key for setting in comparison.settings for key in setting.hyperparameters))
    show_by(console, comparison, [find_key(name, keys, f"--by {by}") for name in by.split(",")])


def write(comparison: Comparison, options: argparse.Namespace) -> None:
    """Write the files that were asked for, and say where they are."""
    if options.csv:
        _write_text(options.csv, to_csv(comparison))
    if options.json:
        content = finite_or_none(to_dict(comparison))
        _write_text(options.json, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if options.png:
        from figures import encode, make_figure

        save(Path(options.png), encode(make_figure(comparison), Path(options.png).suffix[1:].lower()))
    if options.html:
        save(Path(options.html), make_report(comparison).encode())


def _make_console() -> Console:
    console = make_console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE  # nobody's screen sets a limit
    return console


def _write_text(name: str, text: str) -> None:
    if name == STDOUT:
        sys.stdout.write(text)
    else:
        save(Path(name), text.encode())


def _require_run(folder: Path) -> Path:
    if not (folder / ".hydra" / "config.yaml").is_file():
        raise CheckpointError(f"--diff {folder}: is no run folder, since it has no .hydra/config.yaml")
    return folder.resolve()


if __name__ == "__main__":
    main()
