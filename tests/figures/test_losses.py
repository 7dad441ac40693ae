"""The curves of losses agree with their formulas, also where a gradient jumps; what is in their figures."""

from typing import Any

import numpy as np
import pytest
import torch

from fashion_softmax.figures.losses import EXAMPLE_LABEL, EXAMPLE_LOGITS, compare_losses, draw_losses, trace
from fashion_softmax.learning.losses import AbsoluteError, CrossEntropy, Huber, Loss, Margin, SquaredError
from fashion_softmax.learning.metrics import cross_entropies

ALL: dict[str, Loss] = {
    "mse": SquaredError(),
    "l1": AbsoluteError(),
    "huber, delta=0.2": Huber(delta=0.2),
    "ce": CrossEntropy(),
    "margin, delta=1.0": Margin(),
}


def closed(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(found, expected, rtol=1e-12, atol=1e-9)


def test_squared_error_is_the_formula() -> None:
    curve = trace(SquaredError(), 3)
    assert closed(curve.values, curve.places**2 / 2) and closed(curve.gradients, curve.places)
    assert curve.places[0] == -3 and curve.places[-1] == 3 and not curve.ends.numel()


def test_absolute_error_jumps_at_0_and_nowhere_else() -> None:
    curve = trace(AbsoluteError(), 3)
    assert closed(curve.ends[0], torch.tensor([-1e-5, 1e-5]).double()) and curve.ends[1].tolist() == [-1, 1]
    assert curve.taken.tolist() == [[0], [0]]
    is_drawn = ~curve.gradients.isnan()
    assert closed(curve.gradients[is_drawn], curve.places[is_drawn].sign())
    assert 0 in curve.places[~is_drawn]  # no line is drawn across
    assert closed(curve.values, curve.places.abs())


def test_huber_has_no_jump_whatever_its_delta() -> None:
    for delta in (0.01, 0.5, 1.234):
        curve = trace(Huber(delta=delta), 3)
        error = curve.places
        inside = error.abs() <= delta
        assert closed(curve.values, torch.where(inside, error**2 / 2, delta * error.abs() - delta**2 / 2))
        assert closed(curve.gradients, error.clamp(-delta, delta)) and not curve.ends.numel()


def test_cross_entropys_likelihood_is_the_true_class_probability() -> None:
    curve = trace(CrossEntropy(), 3)
    assert closed((-curve.values).exp(), torch.sigmoid(-curve.places))
    assert closed(curve.gradients, torch.sigmoid(curve.places))  # p - y, with y = 0


def test_margin_jumps_where_the_lead_is_delta() -> None:
    for delta in (1.0, 0.7531):
        curve = trace(Margin(delta=delta), 3)
        assert torch.allclose(curve.ends[0], torch.tensor(-delta).double(), atol=2e-5)
        assert curve.ends[1].tolist() == [0, 0.5] and not curve.taken.numel()
        assert closed(curve.values, (delta + curve.places).clamp(min=0) / 2)


def test_regression_losses_as_trained_go_through_softmax() -> None:
    curve = trace(AbsoluteError(), 6, as_trained=True)
    p = torch.sigmoid(curve.places)  # of the wrong class; both classes are wrong by it
    assert closed(curve.values, 2 * p) and closed(curve.gradients, 2 * p * (1 - p))


def test_every_jump_of_a_loss_of_ones_own_is_found() -> None:
    class Stairs(Loss):
        def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            lead = logits.diff()[..., 0]
            return cross_entropies(logits, labels) + (lead - 0.3333).abs() + 2 * (lead + 1.5).relu()

    class Line(Loss):
        def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return logits.diff()[..., 0]

    places = trace(Stairs(), 3).ends[0]
    assert torch.allclose(places, torch.tensor([-1.5, -1.5, 0.3333, 0.3333]).double(), atol=2e-5)
    curve = trace(Line(), 3)
    assert not curve.ends.numel() and set(curve.gradients.tolist()) == {1.0}


@pytest.fixture(scope="module")
def figure() -> Any:
    return draw_losses(ALL)


def lines(axes: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {str(line.get_label()): (line.get_xdata(), line.get_ydata()) for line in axes.lines}


def test_each_loss_has_a_panel_with_formula_axes_legend_and_curves(figure: Any) -> None:
    titles = [axes.get_title().partition("\n") for axes in figure.axes]
    assert [title[0] for title in titles[:6]] == [*ALL, "ce"]
    for axes, (_, _, formula) in zip(figure.axes[:5], titles, strict=False):
        assert formula.startswith("$") and axes.get_xlabel() and axes.get_ylabel()
        legend = axes.get_legend()
        assert legend and [text.get_text() for text in legend.get_texts()] == ["loss", "gradient", "likelihood"]
    drawn = lines(figure.axes[2])
    p, values = drawn["loss"]
    np.testing.assert_allclose(drawn["gradient"][1], p.clip(-0.2, 0.2), atol=1e-9)
    np.testing.assert_allclose(drawn["likelihood"][1], np.exp(-values), atol=1e-9)


def test_kink_is_drawn_with_open_ends_and_a_dot(figure: Any) -> None:
    ends, dot = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
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


@pytest.mark.parametrize(("names", "num_axes"), [(["mse"], 1), (["mse", "l1", "margin, delta=1.0"], 3), (["ce"], 3)])
def test_only_the_losses_that_were_chosen_are_drawn(names: list[str], num_axes: int) -> None:
    assert len(draw_losses({name: ALL[name] for name in names}).axes) == num_axes


def test_comparison_overlays_all_losses() -> None:
    figure = compare_losses(ALL)
    assert len(figure.axes) == 4
    for axes in figure.axes:
        curves = [line for line in axes.lines if line.get_linestyle() != "None"]
        assert len(curves) == len({(line.get_color(), line.get_linestyle()) for line in curves}) == len(ALL)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(ALL)
    assert "for ce, margin the prediction is a wrong class's logit" in figure.get_suptitle()
