"""The curves of losses agree with their formulas, also where a gradient jumps; what is in their figures."""

import loss_figures as figures
import numpy as np
import pytest
import torch

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
    """Compare to the last digits, where there is a gradient."""
    is_there = ~found.isnan()
    return torch.allclose(found[is_there], expected[is_there], rtol=1e-12, atol=1e-9)


def jumps(places: torch.Tensor, gradients: torch.Tensor) -> list[float]:
    """List the places that no line of the gradient reaches."""
    return places[gradients.isnan()].tolist()


def test_curves_of_regression_losses_are_their_formulas() -> None:
    places, values, gradients = figures.trace(SquaredError())
    assert closed(values, places**2 / 2) and closed(gradients, places) and not jumps(places, gradients)
    assert places[0] == -3 and places[-1] == 3
    places, values, gradients = figures.trace(AbsoluteError())
    assert closed(values, places.abs()) and closed(gradients, places.sign()) and 0 in jumps(places, gradients)
    for delta in (0.01, 0.5, 1.234):
        places, values, gradients = figures.trace(Huber(delta=delta))
        inside = places.abs() <= delta
        assert closed(values, torch.where(inside, places**2 / 2, delta * places.abs() - delta**2 / 2))
        assert closed(gradients, places.clamp(-delta, delta)) and not jumps(places, gradients)
    places, values, gradients = figures.trace(AbsoluteError(), as_trained=True)
    p = torch.sigmoid(places)  # of the wrong class; both classes are wrong by it
    assert closed(values, 2 * p) and closed(gradients, 2 * p * (1 - p)) and places[-1] == 6


def test_cross_entropys_likelihood_is_the_true_class_probability() -> None:
    places, values, gradients = figures.trace(CrossEntropy())
    assert closed((-values).exp(), torch.sigmoid(-places))
    assert closed(gradients, torch.sigmoid(places))  # p - y, with y = 0


def test_margin_jumps_where_the_lead_is_delta() -> None:
    for delta in (1.0, 0.7531):
        places, values, gradients = figures.trace(Margin(delta=delta))
        assert jumps(places, gradients) == pytest.approx([-delta], abs=2e-3)
        assert closed(values, (delta + places).clamp(min=0) / 2)


def test_every_jump_of_a_loss_of_ones_own_is_found() -> None:
    class Stairs(Loss):
        def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            lead = logits.diff()[..., 0]
            return cross_entropies(logits, labels) + (lead - 0.3333).abs() + 2 * (lead + 1.5).relu()

    class Line(Loss):
        def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return logits.diff()[..., 0]

    places, _, gradients = figures.trace(Stairs())
    assert jumps(places, gradients) == pytest.approx([-1.5, 0.3333], abs=2e-3)
    assert set(figures.trace(Line())[2].tolist()) == {1.0}


def test_each_loss_has_a_panel_with_formula_axes_legend_and_curves() -> None:
    figure = figures.draw_losses(ALL)
    titles = [axes.get_title().partition("\n") for axes in figure.axes]
    assert [title[0] for title in titles[:5]] == list(ALL)
    for axes, (_, _, formula) in zip(figure.axes[:5], titles, strict=False):
        assert formula.startswith("$") and axes.get_xlabel() and axes.get_ylabel()
        assert not axes.get_legend() and [line.get_label() for line in axes.lines] == ["loss", "gradient", "likelihood"]
    (legend,) = figure.legends  # of all panels
    assert [text.get_text() for text in legend.get_texts()] == ["loss $L$", "gradient", "likelihood $e^{-L}$"]
    assert [line.get_linestyle() for line in legend.get_lines()] == [
        line.get_linestyle() for line in figure.axes[0].lines
    ]
    values, gradient, likelihood = figure.axes[2].lines
    np.testing.assert_allclose(gradient.get_ydata(), gradient.get_xdata().clip(-0.2, 0.2), atol=1e-9)
    np.testing.assert_allclose(likelihood.get_ydata(), np.exp(-values.get_ydata()), atol=1e-9)
    softmax, label, difference = ([bar.get_height() for bar in bars] for bars in figure.axes[5].containers)
    powers = np.exp(figures.EXAMPLE_LOGITS)
    np.testing.assert_allclose(softmax, powers / powers.sum())
    np.testing.assert_allclose(label, np.eye(10)[figures.EXAMPLE_LABEL], atol=1e-12)
    np.testing.assert_allclose(difference, np.subtract(softmax, label), atol=1e-12)
    assert [tick.get_text() for tick in figure.axes[5].get_xticklabels()][figures.EXAMPLE_LABEL] == "shirt"


def test_comparison_overlays_all_losses() -> None:
    figure = figures.compare_losses(ALL)
    assert len(figure.axes) == 4
    for axes in figure.axes:
        looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
        assert len(axes.lines) == len(looks) == len(ALL)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(ALL)
    assert "for ce, margin the prediction is a wrong class's logit" in figure.get_suptitle()
