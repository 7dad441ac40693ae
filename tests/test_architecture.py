"""The rules of the house: sizes, imports that point one way, private names and heavy libraries in one place each."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "fashion_softmax"
MODULES = sorted(PACKAGE.rglob("*.py"))
# A room may import from itself and from those before it.
ROOMS = [
    "errors",
    "files",
    "learning",
    "data",
    "stacking",
    "config",
    "dashboard",
    "runs",
    "viewing",
    "sweeps",
    "cli",
]
# 7 000 for the house; own pictures and the interface for Python came later, with 1 000; then engines, search,
# discarding, forecasts and growing sweeps, with 700; calibration and what a narrow terminal needs, with 100.
MAX_LINES, MAX_CORE_LINES, MAX_MODULE_LINES, MAX_FILES = 8800, 3400, 220, 9
CORE = (
    *("learning", "stacking", "runs", "data/batches.py", "data/dataset.py"),
    *("sweeps/grid.py", "sweeps/planning.py", "sweeps/resume.py"),
)
ONLY_IN = {
    "hydra": {"config", "cli"},
    "omegaconf": {"config", "cli"},
    "tensorboard": {"dashboard"},
    "torch.utils.tensorboard": {"dashboard", "config"},
    "PIL": {"dashboard", "data", "viewing"},
    "rich": {"dashboard", "data", "sweeps", "viewing"},
}
PRIVATE = re.compile(r"^(hydra|omegaconf|torch)(\..*)?\._\w")
LIBRARIES = ("hydra", "omegaconf", "torch")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def count_lines(paths: list[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it points"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_package_fits_its_budget() -> None:
    assert count_lines(MODULES) <= MAX_LINES
    core = [path for path in MODULES if str(path.relative_to(PACKAGE)).startswith(CORE)]
    assert count_lines(core) <= MAX_CORE_LINES
    size = f"{round(count_lines(core), -2):,}".replace(",", " ")
    assert f"core path of {size} lines" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [path for path in MODULES if count_lines([path]) > MAX_MODULE_LINES]


def test_rooms_are_few_and_not_crowded() -> None:
    folders = {path.parent for path in MODULES if path.parent != PACKAGE}
    assert {folder.name for folder in folders} <= set(ROOMS) and len(folders) <= MAX_FILES
    assert not [folder for folder in folders if len(list(folder.glob("*.py"))) > MAX_FILES]
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "cli", "errors", "files"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_from_below(path: Path) -> None:
    if room(path) != "__init__":
        own = {name.split(".")[1] for name in imports(path) if name.startswith("fashion_softmax.")}
        assert own <= set(ROOMS[: ROOMS.index(room(path)) + 1])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_have_one_place(path: Path) -> None:
    for name in imports(path):
        for library, places in ONLY_IN.items():
            assert not (name == library or name.startswith(f"{library}.")) or room(path) in places
    lazy = {"torchvision", "matplotlib", "scipy", "PIL"} - ({"PIL"} if room(path) in ONLY_IN["PIL"] else set())
    assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & lazy


def test_private_names_stand_in_one_module_with_their_reasons() -> None:
    private = {
        (path.name, name)
        for path in [*MODULES, *(ROOT / "hydra_plugins").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]
        for name in imports(path)
        if name.startswith(LIBRARIES) and re.search(r"\._\w", name)
    }
    assert {name for name, _ in private} <= {"private.py"}
    names = {name for _, name in private if not any(other.startswith(f"{name}.") for _, other in private)}
    assert len(names) <= 4


def test_nothing_is_put_into_sys_modules_or_patched() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert "sys.modules" not in text and "setattr(" not in text.replace("setattr(self", ""), path


def test_what_the_command_line_needs_does_not_import_torch() -> None:
    for name in ("cli", "errors", "files", *(f"config/{name}" for name in ("schema", "jobs", "explain", "checking"))):
        assert "torch" not in {module.split(".")[0] for module in imports(PACKAGE / f"{name}.py", top_level_only=True)}
