"""`scripts/plot_losses.py`: which losses it draws, with which settings, and where it saves them."""

import importlib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.scripts.conftest import RunScript


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of the panels that a script would draw; its figure stays empty, which takes no time."""
    import figures as style

    losses = importlib.import_module("loss_figures")
    titles: list[str] = []

    def keep(given: dict[str, object]) -> object:
        titles.extend(given)
        return style.new_figure(1, 1)

    monkeypatch.setattr(losses, "draw_losses", keep)
    return titles


def test_every_loss_of_the_folder_is_drawn(script: RunScript, drawn: list[str], tmp_path: Path) -> None:
    outcome = script("plot_losses")
    assert outcome.code == 0, outcome.err
    assert sorted(title.partition(",")[0] for title in drawn) == sorted(
        path.stem for path in (ROOT / "conf" / "loss").glob("*.yaml")
    )
    for suffix, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        path = tmp_path / "outputs" / "figures" / f"losses.{suffix}"
        assert path.read_bytes().startswith(start) and f"saved outputs/figures/{path.name}" in outcome.err


def test_settings_count_for_the_losses_that_have_them(script: RunScript, drawn: list[str]) -> None:
    assert script("plot_losses", "loss=mse,margin,huber", "--output", "a.png", "loss.delta=0.2").code == 0
    assert drawn == ["mse", "huber, delta=0.2", "margin, delta=0.2"]


@pytest.mark.slow
def test_comparison_is_a_figure_of_its_own(script: RunScript, tmp_path: Path) -> None:
    assert script("plot_losses", "--compare", "loss=l1,ce").code == 0
    assert sorted(path.name for path in (tmp_path / "outputs" / "figures").iterdir()) == [
        "losses_compared.png",
        "losses_compared.svg",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["loss=hubr"], "loss=hubr is no option; did you mean huber?"),
        (["loss.dleta=1"], "loss.dleta is unknown; did you mean delta?"),
        (["loss=mse", "loss.delta=1"], "loss.delta is unknown; allowed: input"),
        (["loss.delta=-1"], "loss.delta=-1 is out of range"),
        (["--output", "losses.jpg"], "losses.jpg is no file that ends in .png, .svg, .pdf"),
        (["optimizer.lrr=1"], "optimizer.lrr is unknown"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    arguments: list[str], message: str, script: RunScript, tmp_path: Path
) -> None:
    outcome = script("plot_losses", *arguments)
    assert outcome.code == 2 and message in outcome.err and "Traceback" not in outcome.err
    assert not list(tmp_path.iterdir())
