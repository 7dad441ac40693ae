"""Check this machine: Python and packages, device, data, space and permissions, and a short training.

python scripts/doctor.py
python scripts/doctor.py --data my_data/fashion_mnist --outputs /scratch/outputs

Every check runs, whatever becomes of the others; nothing is downloaded and nothing is left behind. Exits with 0 when
all is well, warnings included, and with 7 when something needs repair. The checks are in doctor_checks.py.
"""

from __future__ import annotations  # so that a Python that is too old gets as far as the table that says so

import argparse
import contextlib
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from doctor_checks import (
    Finding,
    check_data,
    check_device,
    check_packages,
    check_project,
    check_python,
    check_shared_memory,
    check_space,
    check_threads,
    check_training,
    check_writing,
    reinstall,
)

EXIT_PROBLEM = 7  # the machine refuses, as in fashion_softmax/errors.py
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
NO_WRAP_WIDTH = 10_000


def main() -> None:
    """Run all checks, print the table; exit 7 when there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of Fashion-MNIST's four files")
    parser.add_argument("--outputs", type=Path, metavar="DIR", help="folder that runs and sweeps are written below")
    options = parser.parse_args()
    handler: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    with contextlib.suppress(Exception):  # what cannot be imported is for the table to say
        from fashion_softmax.cli import exit_on_error

        handler = exit_on_error
    with handler():
        findings = list(examine(options))
        show(findings)
        sys.exit(EXIT_PROBLEM if any(finding.level == "problem" for _, finding in findings) else 0)


def examine(options: argparse.Namespace) -> Iterator[tuple[str, Finding]]:
    """Run every check, also after one has failed, and yield names with findings."""
    for name, check in CHECKS.items():
        try:
            for finding in check(options):
                yield finding.check or name, finding
        except ImportError as error:
            yield name, Finding(str(error), "problem", reinstall())
        except Exception as error:
            message = f"{type(error).__name__}: {' '.join(str(error).split())}"
            yield name, Finding(message, "problem", "this check itself failed; please report it with this line")


def show(findings: list[tuple[str, Finding]]) -> None:
    """Print the table; plain where rich is not installed, and a line for each finding where nobody watches."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        width = max(len(name) for name, _ in findings)
        found_width = max(len(finding.found) for _, finding in findings)
        for name, finding in findings:
            print(f"{name:{width}}  {finding.found:{found_width}}  {finding.verdict}")
        return
    table = Table(title="This machine", title_justify="left")
    for column in ("check", "found", "verdict"):
        table.add_column(column, overflow="fold")
    for name, finding in findings:
        table.add_row(Text(name), Text(finding.found), Text(finding.verdict, STYLES[finding.level]))
    Console(highlight=False, width=None if sys.stdout.isatty() else NO_WRAP_WIDTH).print(table)


def outputs_dir(options: argparse.Namespace) -> Path:
    """Find the folder of runs and sweeps."""
    if options.outputs:
        return Path(options.outputs).absolute()
    from fashion_softmax.config.schema import project_dir

    return Path(project_dir(), "outputs")


def data_dir(options: argparse.Namespace) -> Path:
    """Find the folder of Fashion-MNIST."""
    if options.data:
        return Path(options.data).absolute()
    from fashion_softmax.config.jobs import compose
    from fashion_softmax.config.schema import resolve

    return Path(resolve(compose())["dataset"]["root"]).absolute()


def fetch_command(options: argparse.Namespace) -> str:
    """Word the command that fetches the data."""
    if options.data is None:
        return "make data"
    path = str(data_dir(options))
    value = path if re.fullmatch(r"[\w./-]+", path) else f"'{path}'"  # quotes of Hydra's, then those of the shell
    return f"python scripts/prepare_data.py {shlex.quote(f'dataset.root={value}')}"


CHECKS: dict[str, Callable[[argparse.Namespace], Iterator[Finding]]] = {
    "Python": lambda _: check_python(),
    "packages": lambda _: check_packages(),
    "project": lambda _: check_project(),
    "device": lambda _: check_device(),
    "threads": lambda _: check_threads(),
    "data": lambda options: check_data(data_dir(options), fetch_command(options)),
    "free for outputs": lambda options: check_space(outputs_dir(options)),
    "free for data": lambda options: check_space(data_dir(options)),
    "shared memory": lambda _: check_shared_memory(),
    "writing outputs": lambda options: check_writing(
        outputs_dir(options), "problem", "choose other folders with hydra.run.dir and hydra.sweep.dir"
    ),
    "writing data": lambda options: check_writing(
        data_dir(options), "warning", "fine while the data are complete, but they are verified anew at every start"
    ),
    "training": lambda _: check_training(),
}


if __name__ == "__main__":
    main()
