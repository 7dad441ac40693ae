"""The pages, tried: README and docs/ in both languages. What they say is all there is to do, is done here."""

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import forking
from tests.conftest import COMMAND_TIMEOUT_S, ROOT, TINY
from tests.test_cli import Train

NAMES = ("README", *(f"docs/{path.stem}" for path in sorted((ROOT / "docs").glob("[!i]*.md")) if "zh" not in path.stem))
# What else runs them: `.ci/run` itself, the tests of engines, of TensorBoard and of the benchmark.
RUN_ELSEWHERE = ("make ", "pip ", "python scripts/compare_searches.py", "python scripts/measure_scaling.py")
ENGINES = re.compile(r"hydra/launcher=(ray|submitit_local)")
MAX_LINES = 180  # of README


def read(name: str) -> str:
    return (ROOT / f"{name}.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def example(page: str, word: str) -> str:
    text = read(page)
    return next(block for block in blocks(text, "python") + blocks(text, "yaml") if word in block)


def list_commands(page: str) -> list[str]:
    """List the commands of a page, those shown with their output as well, in the order in which they stand there."""
    commands = []
    for language, block in re.findall(r"```(bash|console)\n(.*?)```", read(page), flags=re.DOTALL):
        lines = block.splitlines()
        shown = [line[2:] for line in lines if line.startswith("$ ")] if language == "console" else lines
        commands += [re.sub(r"\s+# .*", "", line) for line in shown if line.strip()]
    return commands


def run_page(page: str, project: Path, but: Sequence[str] = ()) -> None:
    """Run every command of a page, one after another; each ends with 0, or with 2 where the page shows an error.

    Args:
        page: name of the file.
        project: in which they run.
        but: commands that another test runs.
    """
    environment = {**os.environ, "PYTHONPATH": str(project), "COLUMNS": "100"}
    known = dict(re.findall(r"^\$ (.*)\n(ERROR:)", read(page), flags=re.MULTILINE))
    for command in list_commands(page):
        if command.startswith(RUN_ELSEWHERE) or ENGINES.search(command) or command in but:
            continue
        program, script, *arguments = shlex.split(command)
        assert program == "python", command
        # The grid that the table of a page shows has another folder here.
        arguments = [re.sub(r"outputs/sweeps/\S+", "outputs/sweeps", argument) for argument in arguments]
        result = forking.run([str(project / script), *arguments], project, environment, 3 * COMMAND_TIMEOUT_S)
        output = result.stdout + result.stderr
        assert result.returncode == (2 if command in known else 0), f"{command}\n{output}"
        assert "Warning" not in output and "Traceback" not in output, f"{command}\n{output}"


@pytest.mark.slow
@pytest.mark.real_data
def test_commands_of_readme_and_comparing_run(project: Path) -> None:
    (project / "my_shapes.py").write_text(example("docs/own_data", "regular_polygon"), encoding="utf-8")
    assert forking.run([str(project / "my_shapes.py")], project, os.environ, COMMAND_TIMEOUT_S).returncode == 0
    run_page("README", project, list_commands("docs/lesson"))
    run_page("docs/comparing", project, list_commands("docs/lesson") + list_commands("README"))


@pytest.mark.slow
@pytest.mark.real_data
def test_commands_of_running_run(project: Path) -> None:
    run_page("docs/running", project, list_commands("README"))


@pytest.mark.slow
@pytest.mark.real_data
def test_commands_of_many_runs_run(project: Path) -> None:
    run_page("docs/stacking", project)
    run_page("docs/scaling", project, list_commands("docs/running"))


@pytest.mark.slow
@pytest.mark.real_data
def test_walk_with_own_pictures(project: Path) -> None:
    page = "docs/own_data"
    files = {
        "my_shapes.py": example(page, "regular_polygon"),
        "my_losses.py": example(page, "class Focal"),
        "my_conf/dataset/shapes.yaml": example(page, "root: my_pictures"),
        "my_conf/loss/focal.yaml": example(page, "my_losses.Focal"),
    }
    for name, content in files.items():
        assert f"`{name}`" in read(page)
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content, encoding="utf-8")
    assert len(list_commands(page)) <= 8  # with `git clone` and `make setup` ten, from nothing to a prediction
    run_page(page, project)
    assert len(list((project / "my_pictures").glob("*/*.png"))) == 600


@pytest.mark.slow
@pytest.mark.real_data
def test_python_of_the_pages_runs(project: Path) -> None:
    for page in ("README", "docs/python"):
        (project / "try_it.py").write_text(example(page, "import fashion_softmax as fs"), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(project)}
        result = forking.run([str(project / "try_it.py")], project, environment, 3 * COMMAND_TIMEOUT_S)
        assert result.returncode == 0, result.stderr


def test_examples_of_own_components_train_together(train: Train, tmp_path: Path) -> None:
    page = "docs/extending"
    (tmp_path / "my_losses.py").write_text(example(page, "Focal"), encoding="utf-8")
    (tmp_path / "my_models.py").write_text(example(page, "TwoLayers"), encoding="utf-8")
    (tmp_path / "my_data.py").write_text(example(page, "stripes"), encoding="utf-8")
    options = {
        "loss/focal": "_target_: my_losses.Focal\ngamma: 2.0\n",
        "model/two_layers": "_target_: my_models.TwoLayers\nwidth: 64\n",
        "dataset/stripes": "_target_: my_data.stripes\nsize: 8\n",
        "optimizer/adagrad": example(page, "Adagrad"),
    }
    for name, content in options.items():
        path = tmp_path / "my_conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(content, encoding="utf-8")
    choices = [name.replace("/", "=") for name in options]
    folder = f"hydra.run.dir={tmp_path}/run"
    result = train("--config-dir", "my_conf", *choices, TINY[-1], folder, PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "TwoLayers, Focal, Adagrad on 1000 images of 1 x 8 x 8" in result.stdout


def test_readme_is_a_front_door() -> None:
    for name in ("README", "README.zh-CN"):
        assert len(read(name).splitlines()) <= MAX_LINES
        assert {f"docs/{Path(page).stem}" for page in re.findall(r"docs/(\w+)(?:\.zh-CN)?\.md", read(name))} == {
            page for page in NAMES if page != "README"
        }


@pytest.mark.parametrize("name", NAMES)
def test_chinese_twin_has_the_same_code_pictures_and_figures(name: str) -> None:
    def code(text: str) -> list[str]:
        parts = [block for language in ("bash", "console", "yaml", "python") for block in blocks(text, language)]
        return [re.sub(r"(^|\s+)#.*", "", part, flags=re.MULTILINE) for part in parts]

    english, chinese = read(name), read(f"{name}.zh-CN")
    assert code(english) == code(chinese)
    for pattern in (r"\(\S*images/(\S+)\)", r"[\d.]+ ± [\d.]+ %", r"(?m)^#+ ", r"(?m)^\|[ -]"):
        assert re.findall(pattern, english) == re.findall(pattern, chinese), pattern


@pytest.mark.parametrize("name", [*NAMES, *(f"{name}.zh-CN" for name in NAMES)])
def test_links_lead_somewhere(name: str) -> None:
    folder, links = (ROOT / name).parent, re.findall(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)", read(name))
    assert links and not [link for link in links if not (folder / link).exists()]
    others = [link for link in links if link.endswith(".md") and ".zh-CN" in name and "zh-CN" not in link]
    twin = f"{Path(name).name.removesuffix('.zh-CN')}.md"
    assert set(others) <= {twin, "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "../SECURITY.md", "../README.md"}


@pytest.mark.slow
def test_site_has_all_pages_in_both_languages_and_asks_no_host() -> None:
    environment = {**os.environ, "CI": "true"}  # no browser is opened
    result = subprocess.run(["make", "docs"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    site = ROOT / "build" / "docs"
    for folder, suffix in ((site, ""), (site / "zh-CN", ".zh-CN")):
        for name in NAMES:
            page = folder / f"{'index' if name == 'README' else Path(name).name}{suffix}.html"
            text = page.read_text(encoding="utf-8")
            assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?:', text)
            for link in re.findall(r'<a [^>]*href="([^"#:]+)(?:#[^"]*)?"', text):
                assert (page.parent / link).exists(), f"{page.name}: {link}"
        lesson = (folder / f"lesson{suffix}.html").read_text(encoding="utf-8")
        assert lesson.count("<math") > 20 and "$" not in re.sub(r"<pre>.*?</pre>", "", lesson, flags=re.DOTALL)
    assert "fashion_softmax.train" in (site / "api.html").read_text(encoding="utf-8")
