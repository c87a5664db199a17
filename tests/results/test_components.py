"""Quantiles and p values of a sum of variance components."""

from __future__ import annotations

import pytest
from scipy import stats

from results.components import Part, half_width, p_value

SEEDS, SAMPLES = Part(4e-4, 2), Part(1e-4, 199)


def test_one_component_is_the_t_test() -> None:
    assert half_width([SEEDS]) == pytest.approx(0.02 * stats.t.ppf(0.975, 2))
    for distance in (0.001, 0.05, 3.0, 1e4):
        expected = 2 * stats.t.sf(distance / 0.02, 2)
        assert p_value([SEEDS], distance) == pytest.approx(expected, rel=1e-9)
        assert p_value([SEEDS, Part(0.0, 199)], distance) == pytest.approx(expected, rel=1e-9)


def test_two_components_share_their_quantiles_by_variance() -> None:
    quantile = 0.8 * stats.t.ppf(0.975, 2) + 0.2 * stats.t.ppf(0.975, 199)
    assert half_width([SEEDS, SAMPLES]) == pytest.approx(quantile * (5e-4) ** 0.5)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999, 1 - 1e-7])
def test_a_p_value_is_the_level_at_which_the_interval_ends(level: float) -> None:
    parts = [SEEDS, SAMPLES]
    assert p_value(parts, half_width(parts, level)) == pytest.approx(1 - level, rel=1e-6)
    assert p_value(parts, -half_width(parts, level)) == pytest.approx(1 - level, rel=1e-6)


def test_without_variance_only_equality_is_no_difference() -> None:
    still = [Part(0.0, 2), Part(0.0, 99)]
    assert half_width(still) == 0
    assert (p_value(still, 0.0), p_value(still, 1e-9)) == (1.0, 0.0)
    assert p_value([SEEDS, SAMPLES], 0.0) == 1.0


def test_a_value_too_small_to_write_is_no_error() -> None:
    assert p_value([Part(1e-12, 100_000)], 1.0) == 0.0
