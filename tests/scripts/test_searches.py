"""What the studies of sweeps make of what they measured."""

import pytest
from compare_searches import Search, draw, make_search, name_kind, show
from measure_scaling import Sweep, fit


def test_search_is_summed_up() -> None:
    search = make_search("full grid", [(20, 0.8), (20, 0.85), (3, 0.0)], 1.5)
    assert search == Search("full grid", 43, 0.85, 1.5)
    assert [name_kind(name) for name in ("discarding [[1,5]]", "TPE, 8 trials", "full grid")] == [
        "discarding",
        "TPE",
        "full grid",
    ]


def test_medians_and_losses_of_seeds_are_shown_and_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for seed, accuracy in enumerate((0.84, 0.85, 0.86)):
        found += [
            Search("full grid", 1280, accuracy, 30.0),
            Search("discarding [[1,5]]", 150 + seed, accuracy - 0.001 * seed, 5.0),
            Search("TPE, 8 trials", 160, accuracy - 0.01, 7.0),
            Search("TPE, 16 trials", 320, accuracy, 14.0),
        ]
    show(found)
    lines = [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]
    assert "full grid 1280 85.00 % 0.00 (0.00) 30.0" in lines
    assert "discarding [[1,5]] 151 84.90 % 0.10 (0.20) 5.0" in lines
    (axes,) = draw(found).axes
    points = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}  # type: ignore[union-attr]
    assert points["TPE"] == [[160, pytest.approx(0.84)], [320, pytest.approx(0.85)]] and len(points) == 3


def test_cost_is_fitted_by_least_squares() -> None:
    sweeps = [Sweep("x", "one process", runs, 1, 2.5 + 0.004 * runs, 700) for runs in (64, 256, 1024, 4096)]
    assert fit(sweeps) == pytest.approx((2.5, 0.004))
