"""The lesson's page, tried: its commands run and print what it shows, its pointers lead where they say."""

import os
import re
import shlex
from pathlib import Path

import pytest

from tests import forking
from tests.conftest import COMMAND_TIMEOUT_S, ROOT, copy_project

PAGE = (ROOT / "docs" / "lesson.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "docs" / "lesson.zh-CN.md").read_text(encoding="utf-8")


def commands(page: str) -> list[tuple[str, list[str]]]:
    """List the commands of a page with the lines they are said to print."""
    blocks = re.findall(r"```console\n\$ (.*)\n((?:.*\n)*?)```", page)
    return [(command, output.splitlines()) for command, output in blocks]


def words(line: str) -> str:
    """Leave of a line what does not change with the machine: no numbers, no lines of tables, no spaces."""
    return re.sub(r"[\d.,\s\u2500-\u259f]", "", line)


@pytest.mark.slow
@pytest.mark.real_data
def test_commands_print_what_the_page_shows(project: Path, fashion_mnist_root: Path) -> None:
    whole = copy_project(project / "whole")
    (whole / "data").symlink_to(fashion_mnist_root.parent)
    for command, shown in commands(PAGE):
        program, *arguments = shlex.split(command)
        assert program == "python"
        script, *others = arguments
        # A pass of the lesson's own loop over all images takes ten seconds.
        folder = project if "time_loading" in script else whole
        environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "100"}
        result = forking.run([str(folder / script), *others], folder, environment, COMMAND_TIMEOUT_S)
        output = result.stdout + result.stderr
        assert result.returncode == 0 and "Warning" not in output, f"{command}\n{output}"
        printed = [words(line) for line in output.splitlines()]
        missing = [line for line in shown if line != "..." and words(line) not in printed]
        assert not missing, f"{command} does not print {missing}\n{output}"
        for line in shown:
            if line.startswith("saved "):
                assert (folder / line.removeprefix("saved ")).stat().st_size > 1000


def test_page_has_the_commands_it_promises() -> None:
    scripts = {command.split()[1] for command, _ in commands(PAGE)}
    named = ("plot_losses", "show_samples", "time_loading", "predict", "inspect_model", "compare_runs")
    assert scripts == {"train.py", *(f"scripts/{name}.py" for name in named)}
    assert len(re.findall("```", PAGE)) == 2 * len(commands(PAGE))  # no other kind of block, which nobody would run


@pytest.mark.parametrize("page", [PAGE, CHINESE], ids=["English", "Chinese"])
def test_pointers_lead_to_what_they_name(page: str) -> None:
    pointers = re.findall(r"\[`(\w+)`\]\(\.\./([^)]+)#L(\d+)\)", page)
    assert len(pointers) > 15
    for name, path, line in pointers:
        text = (ROOT / path).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert re.match(rf"(def |class )?{name}\b", text), f"{path}#L{line} is no {name}: {text}"


@pytest.mark.parametrize("page", [PAGE, CHINESE], ids=["English", "Chinese"])
def test_pictures_and_files_are_there_and_small(page: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (ROOT / "docs" / link).exists(), link
        assert not link.endswith(".png") or (ROOT / "docs" / link).stat().st_size < 160_000, link


def test_chinese_twin_has_the_same_code_formulas_and_pictures() -> None:
    assert commands(PAGE) == commands(CHINESE)
    for kind in (r"\$\$.*?\$\$", r"\(images/[^)]+\)", r"\[`\w+`\]\([^)]+\)", r"^#+ \d\."):
        assert re.findall(kind, PAGE, flags=re.MULTILINE) == re.findall(kind, CHINESE, flags=re.MULTILINE)
