"""Intervals and tests against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fashion_softmax.viewing.statistics import mcnemar, t_interval, t_quantile, wilson_interval

TOLERANCE = 1e-9  # relative; both sides sum doubles, in another order


@given(st.integers(1, 20_000).flatmap(lambda num: st.tuples(st.integers(0, num), st.just(num))))
def test_wilson_interval_is_scipys(counts: tuple[int, int]) -> None:
    num_correct, num_images = counts
    expected = stats.binomtest(num_correct, num_images).proportion_ci(method="wilson")
    assert wilson_interval(num_correct / num_images, num_images) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 29, 100, 999])
def test_t_quantile_is_scipys(degrees: int) -> None:
    assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=TOLERANCE)


def test_t_interval_is_scipys() -> None:
    values = [0.8318, 0.8291, 0.8342, 0.8307, 0.8330]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert t_interval(values) == pytest.approx((low, high), rel=TOLERANCE)


@given(st.integers(0, 6000), st.integers(0, 6000))
def test_mcnemar_is_scipys_sign_test(only_first: int, only_second: int) -> None:
    first = np.repeat([True, False, True, False], [only_first, only_second, 30, 20])
    second = np.repeat([False, True, True, False], [only_first, only_second, 30, 20])
    test = mcnemar(first, second)
    assert (test.only_first, test.only_second) == (only_first, only_second)
    num = only_first + only_second
    expected = stats.binomtest(only_first, num).pvalue if num else 1.0
    assert test.p_value == pytest.approx(expected, rel=1e-8, abs=1e-250)


def test_mcnemar_ignores_images_both_get_wrong() -> None:
    assert mcnemar(np.zeros(50, dtype=bool), np.zeros(50, dtype=bool)).p_value == 1.0
