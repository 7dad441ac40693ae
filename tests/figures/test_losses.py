"""What is in the figures of losses."""

from typing import Any

import numpy as np
import pytest

from fashion_softmax.figures.losses import EXAMPLE_LABEL, EXAMPLE_LOGITS, NamedLoss, compare_losses, draw_losses
from fashion_softmax.figures.style import encode
from fashion_softmax.learning.losses import AbsoluteError, CrossEntropy, Huber, Margin, SquaredError

ALL = [
    NamedLoss("mse", "", SquaredError()),
    NamedLoss("l1", "", AbsoluteError()),
    NamedLoss("huber", "delta=0.2", Huber(delta=0.2)),
    NamedLoss("ce", "", CrossEntropy()),
    NamedLoss("margin", "delta=1.0", Margin()),
]


@pytest.fixture(scope="module")
def figure() -> Any:
    return draw_losses(ALL)


def lines(axes: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {str(line.get_label()): (line.get_xdata(), line.get_ydata()) for line in axes.lines}


def test_each_loss_has_a_panel_with_formula_axes_and_legend(figure: Any) -> None:
    titles = [axes.get_title().partition("\n") for axes in figure.axes]
    assert [title[0] for title in titles[:6]] == ["mse", "l1", "huber, delta=0.2", "ce", "margin, delta=1.0", "ce"]
    for axes, (_, _, formula) in zip(figure.axes[:5], titles, strict=False):
        assert formula.startswith("$") and axes.get_xlabel() and axes.get_ylabel()
        legend = axes.get_legend()
        assert legend and [text.get_text() for text in legend.get_texts()] == ["loss", "gradient", "likelihood"]


def test_panel_draws_the_formula(figure: Any) -> None:
    drawn = lines(figure.axes[2])
    p, values = drawn["loss"]
    assert p[0] == -3 and p[-1] == 3
    inside = np.abs(p) <= 0.2
    np.testing.assert_allclose(values, np.where(inside, p**2 / 2, 0.2 * np.abs(p) - 0.02), atol=1e-9)
    np.testing.assert_allclose(drawn["gradient"][1], p.clip(-0.2, 0.2), atol=1e-9)
    np.testing.assert_allclose(drawn["likelihood"][1], np.exp(-values), atol=1e-9)


def test_kink_is_drawn_with_open_ends_and_a_dot() -> None:
    markers = [line for line in draw_losses(ALL[1:2]).axes[0].lines if line.get_marker() == "o"]
    ends, dot = sorted(markers, key=lambda line: -len(line.get_ydata()))
    assert sorted(ends.get_ydata()) == [-1, 1] and ends.get_markerfacecolor() == "white"
    assert list(dot.get_ydata()) == [0]


def test_cross_entropy_is_drawn_over_the_true_class_probability(figure: Any) -> None:
    p, values = lines(figure.axes[5])["loss"]
    np.testing.assert_allclose(values, -np.log(p), rtol=1e-9)


def test_example_draws_softmax_minus_label(figure: Any) -> None:
    axes = figure.axes[6]
    softmax, label, gradient = ([bar.get_height() for bar in bars] for bars in axes.containers)
    powers = np.exp(EXAMPLE_LOGITS)
    np.testing.assert_allclose(softmax, powers / powers.sum())
    np.testing.assert_allclose(label, np.eye(10)[EXAMPLE_LABEL], atol=1e-12)
    np.testing.assert_allclose(gradient, np.subtract(softmax, label), atol=1e-12)
    assert [tick.get_text() for tick in axes.get_xticklabels()][EXAMPLE_LABEL] == "shirt"


@pytest.mark.parametrize("chosen", [ALL[:1], ALL[:3], ALL[3:4]], ids=["one", "three", "cross-entropy"])
def test_only_the_losses_that_were_chosen_are_drawn(chosen: list[NamedLoss]) -> None:
    has_entropy = any(loss.name == "ce" for loss in chosen)
    assert len(draw_losses(chosen).axes) == len(chosen) + 2 * has_entropy


def test_comparison_overlays_all_losses() -> None:
    figure = compare_losses(ALL)
    assert len(figure.axes) == 4
    for axes in figure.axes:
        curves = [line for line in axes.lines if line.get_linestyle() != "None"]
        assert len(curves) == len(ALL)
        looks = {(line.get_color(), line.get_linestyle()) for line in curves}
        assert len(looks) == len(ALL)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [loss.title for loss in ALL]


def test_files_are_the_same_for_the_same_figure() -> None:
    for suffix, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        first, second = (encode(draw_losses(ALL[:1]), suffix) for _ in range(2))
        assert first == second and first.startswith(start)
