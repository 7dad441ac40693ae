"""The curves of losses agree with their formulas, also where a gradient jumps."""

import torch

from fashion_softmax.figures.curves import at_target_zero, over_lead, trace
from fashion_softmax.learning.losses import AbsoluteError, CrossEntropy, Huber, Loss, Margin, SquaredError
from fashion_softmax.learning.metrics import cross_entropies


def closed(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(found, expected, rtol=1e-12, atol=1e-9)  # 1e-9 is how near a jump places are taken


def test_squared_error_is_the_formula() -> None:
    curve = trace(at_target_zero(SquaredError()), -3, 3)
    assert closed(curve.values, curve.places**2 / 2) and closed(curve.gradients, curve.places)
    assert curve.places[0] == -3 and curve.places[-1] == 3 and not curve.jumps


def test_absolute_error_jumps_at_0_and_nowhere_else() -> None:
    curve = trace(at_target_zero(AbsoluteError()), -3, 3)
    (jump,) = curve.jumps
    assert (jump.place, jump.left, jump.taken, jump.right) == (0, -1, 0, 1)
    drawn = ~curve.gradients.isnan()
    assert closed(curve.gradients[drawn], curve.places[drawn].sign())
    assert curve.places[~drawn].tolist() == [0]  # no line is drawn across
    assert closed(curve.values, curve.places.abs())


def test_huber_has_no_jump_whatever_its_delta() -> None:
    for delta in (0.01, 0.2, 0.5, 1.234, 5.0):
        curve = trace(at_target_zero(Huber(delta=delta)), -3, 3)
        error = curve.places
        inside = error.abs() <= delta
        assert closed(curve.values, torch.where(inside, error**2 / 2, delta * error.abs() - delta**2 / 2))
        assert closed(curve.gradients, error.clamp(-delta, delta)) and not curve.jumps


def test_cross_entropys_likelihood_is_the_true_class_probability() -> None:
    curve = trace(at_target_zero(CrossEntropy()), -3, 3)
    assert closed((-curve.values).exp(), torch.sigmoid(-curve.places))
    assert closed(curve.gradients, torch.sigmoid(curve.places))  # p - y, with y = 0


def test_margin_jumps_where_the_lead_is_delta() -> None:
    for delta in (1.0, 0.7531):
        curve = trace(at_target_zero(Margin(delta=delta)), -3, 3)
        (jump,) = curve.jumps
        assert abs(jump.place + delta) < 1e-9 and (jump.left, jump.right) == (0, 0.5)
        assert closed(curve.values, (delta + curve.places).clamp(min=0) / 2)


def test_regression_losses_as_trained_go_through_softmax() -> None:
    curve = trace(over_lead(AbsoluteError()), -6, 6)
    p = torch.sigmoid(curve.places)  # of the wrong class; both classes are wrong by it
    assert closed(curve.values, 2 * p) and closed(curve.gradients, 2 * p * (1 - p))


def test_every_jump_of_a_loss_of_ones_own_is_found() -> None:
    class Stairs(Loss):
        def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            lead = logits.diff()[..., 0]
            return cross_entropies(logits, labels) + (lead - 0.3333).abs() + 2 * (lead + 1.5).relu()

    places = [jump.place for jump in trace(at_target_zero(Stairs()), -3, 3).jumps]
    assert len(places) == 2 and abs(places[0] + 1.5) < 1e-8 and abs(places[1] - 0.3333) < 1e-8


def test_a_loss_that_is_a_line_has_no_jump() -> None:
    class Line(Loss):
        def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return logits.diff()[..., 0]

    curve = trace(at_target_zero(Line()), -3, 3)
    assert not curve.jumps and set(curve.gradients.tolist()) == {1.0}
