"""Rank correlation against scipy's, and its interval against simulation."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from results.correlation import EXACT, _interval, spearman


@pytest.mark.parametrize("n", [3, 4, 5, 7, 12, 40])
@pytest.mark.parametrize("ties", [False, True])
def test_it_is_scipys(n: int, ties: bool) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal((2, n))
    if ties:
        x, y = np.round(x), np.round(y)
        x[:2], y[:2] = (5, 6), (7, 8)
    found = spearman(x.tolist(), y.tolist())
    assert found is not None
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    if n > EXACT:
        assert found.p == pytest.approx(stats.spearmanr(x, y).pvalue, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_p_counts_all_permutations(ties: bool) -> None:
    x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    y = [2.0, 2.0, 4.0, 3.0, 9.0, 9.0] if ties else [2.0, 1.0, 4.0, 3.0, 6.0, 5.0]

    def statistic(values: np.ndarray) -> float:
        return float(stats.spearmanr(values, y).statistic)

    expected = stats.permutation_test(
        (x,), statistic, permutation_type="pairings", n_resamples=np.inf
    )
    found = spearman(x, y)
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue, abs=1e-12)


def test_three_in_order_can_always_be_chance() -> None:
    found = spearman([1, 2, 3], [10, 20, 30])
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert (found.low, found.high) == (None, None)
    assert found.p == pytest.approx(2 / 6)


def test_few_pairs_have_no_interval_and_no_spread_no_correlation() -> None:
    four = spearman([1, 2, 3, 4], [2, 1, 3, 4])
    assert four is not None and four.low is None and four.high is None
    assert spearman([1, 2], [1, 2]) is None
    assert spearman([1, 1, 1, 1], [1, 2, 3, 4]) is None
    with pytest.raises(ValueError, match="pairs"):
        spearman([1, 2, 3], [1, 2])


def test_a_strictly_increasing_map_changes_nothing_and_a_decreasing_one_the_sign() -> None:
    rng = random.Random(0)
    x, y = [rng.random() for _ in range(9)], [rng.random() for _ in range(9)]
    plain, mapped = spearman(x, y), spearman([v**3 for v in x], [-v for v in y])
    assert plain is not None and mapped is not None
    assert mapped.value == pytest.approx(-plain.value)
    assert plain.low is not None and mapped.high == pytest.approx(-plain.low)


@pytest.mark.parametrize(("n", "truth"), [(5, 0.3), (6, 0.0), (6, 0.6), (12, 0.6), (12, 0.85)])
def test_the_interval_covers(n: int, truth: float) -> None:
    """Of binormal pairs, whose rank correlation in the whole is 6/pi asin(r/2)."""
    r = 2 * np.sin(np.pi * truth / 6)
    rng = np.random.default_rng(n)
    x = rng.standard_normal((1500, n))
    y = r * x + np.sqrt(1 - r * r) * rng.standard_normal((1500, n))
    ranks = [stats.rankdata(values, axis=1) - (n + 1) / 2 for values in (x, y)]
    found = (ranks[0] * ranks[1]).sum(axis=1) / (ranks[0] ** 2).sum(axis=1)
    bounds = [_interval(value, n) for value in found]
    covered = np.mean([a <= truth <= b for a, b in bounds if a is not None and b is not None])
    # Three standard errors of the simulation below 95 %; few pairs are on the wide side.
    assert covered > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 1500)
