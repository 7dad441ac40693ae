"""Intervals and tests against SciPy's own, and against the first edition's formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fashion_softmax.viewing.evidence import mcnemar, wilson_interval


@settings(max_examples=30)
@given(st.integers(1, 20_000).flatmap(lambda num: st.tuples(st.integers(0, num), st.just(num))))
def test_wilson_interval_is_scipys(counts: tuple[int, int]) -> None:
    num_correct, num_images = counts
    expected = stats.binomtest(num_correct, num_images).proportion_ci(method="wilson")
    assert wilson_interval(num_correct / num_images, num_images) == pytest.approx(tuple(expected), abs=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 6000), st.integers(0, 6000))
def test_mcnemar_is_scipys_sign_test(only_first: int, only_second: int) -> None:
    first = np.repeat([True, False, True, False], [only_first, only_second, 30, 20])
    second = np.repeat([False, True, True, False], [only_first, only_second, 30, 20])
    num = only_first + only_second
    expected = stats.binomtest(only_first, num).pvalue if num else 1.0
    assert mcnemar(first, second) == (only_first, only_second, pytest.approx(expected, rel=1e-8, abs=1e-250))


def test_values_are_those_of_the_first_edition() -> None:
    assert wilson_interval(0.8318, 10000) == pytest.approx((0.8243417661017427, 0.8390034125794763), rel=1e-9)
    assert wilson_interval(1.0, 200) == pytest.approx((0.9811546736227333, 1.0), rel=1e-9)
    recorded = {(0, 0): 1.0, (5, 5): 1.0, (3, 9): 0.1459960937500003, (120, 87): 0.025899541336075003}
    recorded |= {(0, 12): 0.0004882812500000003, (1500, 1200): 8.41208632864231e-09, (4000, 10): 0.0}
    for (only_first, only_second), p_value in recorded.items():
        first = np.repeat([True, False], [only_first, only_second])
        found = mcnemar(first, ~first)[2]
        assert found == pytest.approx(p_value, rel=1e-9) and type(found) is float
