"""The import rules of the house: dependencies point one way, and each heavy library is imported in one place."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A module may import from the layers above its own in this list, and from its own layer.
LAYERS = [
    {"compiler", "errors", "files", "interruption", "palettes", "run_names"},
    {"folders", "picture_files", "pictures", "records", "value_types"},
    {"metrics"},
    {"tally"},
    {"losses", "models", "schedules", "data"},
    {"stacking"},
    {"evidence", "figures", "photo", "prediction", "training"},
    {"checkpoint", "events", "recorder", "console", "run_display"},
    {"config"},
    {"dashboard", "hyperparameters", "validation"},
    {"composition", "deriving", "description", "parts", "quick_configs", "settings", "trust"},
    {"comparing", "progress"},
    {"trained"},
    {"single_run", "reporting", "planning"},
    {"experiment"},
    {"sweep_tables", "preparation"},
    {"sweep_display"},
    {"launching", "sweep", "resuming"},
    {"cli"},
    {"scripting"},
]
KNOWS_HYDRA = set().union(*LAYERS[LAYERS.index({"config"}) :])
ONLY_IN = {
    "tensorboard": {"events"},
    "torch.utils.tensorboard": {"dashboard", "recorder"},
    "PIL": {"comparing", "photo", "picture_files", "pictures"},
    "rich": {"comparing", "console", "run_display", "sweep_display", "sweep_tables"},
}

MODULES = sorted((ROOT / "fashion_softmax").rglob("*.py"))


def unit(path: Path) -> str:
    """Name a module by its file, and everything in a subpackage by the subpackage."""
    return path.relative_to(ROOT / "fashion_softmax").with_suffix("").parts[0]


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it points"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_from_below(path: Path) -> None:
    if unit(path) == "__init__":
        return
    level = next(index for index, layer in enumerate(LAYERS) if unit(path) in layer)
    below = set().union(*LAYERS[: level + 1])
    own = {name.split(".")[1] for name in imports(path) if name.startswith("fashion_softmax.")}
    assert own <= below


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_have_one_place(path: Path) -> None:
    for name in imports(path):
        if name.split(".")[0] in ("hydra", "omegaconf", "yaml"):
            assert unit(path) in KNOWS_HYDRA
        for library, places in ONLY_IN.items():
            if name == library or name.startswith(library + "."):
                assert unit(path) in places
    lazy = {"torchvision", "matplotlib"}
    assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & lazy


def test_what_the_command_line_needs_does_not_import_torch() -> None:
    for name in ("cli", "reporting", "composition", "validation", "config", "errors"):
        assert "torch" not in {module.split(".")[0] for module in imports(ROOT / f"fashion_softmax/{name}.py")}


def test_import_rules_see_every_way_to_import(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("from fashion_softmax import experiment\nimport torch.nn as nn\n", encoding="utf-8")
    assert {"fashion_softmax.runs.experiment", "torch.nn"} <= imports(path)
