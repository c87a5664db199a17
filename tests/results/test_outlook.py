"""How many seeds would separate two encoders."""

from __future__ import annotations

import pytest

from results.components import Part, half_width
from results.outlook import MOST, outlook
from results.statistics import Interval

N = 500


def difference(mean: float, between: float, shared: float | None, seeds: int = 3) -> Interval:
    """With the variance between seeds, and the covariance that they share."""
    parts = {"seeds": Part(between / seeds, seeds - 1)} if seeds > 1 else {}
    parts |= {} if shared is None else {"samples": Part(shared, N - 1)}
    return Interval(mean, None, None, seeds, parts)


@pytest.mark.parametrize("shared", [None, 1e-5])
@pytest.mark.parametrize("pairs", [1, 6])
def test_so_many_seeds_are_enough_and_one_less_is_not(shared: float | None, pairs: int) -> None:
    found = outlook(difference(0.02, 4e-4, shared), N, pairs).seeds
    assert found is not None and found > 3

    def half(seeds: int) -> float:
        parts = [Part(4e-4 / seeds, seeds - 1)]
        parts += [] if shared is None else [Part(shared, N - 1)]
        return half_width(parts, 1 - 0.05 / pairs)

    assert half(found) < 0.02 <= half(found - 1)


def test_where_sampling_alone_is_larger_no_number_of_seeds_helps() -> None:
    found = outlook(difference(0.01, 4e-4, 1e-4), N)
    assert found.seeds is None
    assert found.text.startswith("no number of seeds: the sampling error alone is larger")
    # Four times the sampling error: the variance is to shrink by (1.965 x 0.01 / 0.01)^2.
    assert found.samples == pytest.approx(N * 1.9647**2, abs=1)
    assert f"at least {found.samples} test samples" in found.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (difference(0.02, 0, 1e-5, seeds=1), "is not known from one"),
        (difference(0.0, 1e-4, 1e-5), "the means are equal"),
        (difference(3e-17, 1e-4, 1e-5), "the means are equal"),
        (difference(1e-4, 1.0, None), f"more than {MOST} seeds"),
    ],
)
def test_where_it_cannot_be_said(given: Interval, words: str) -> None:
    found = outlook(given, N)
    assert (found.seeds, found.samples) == (None, None)
    assert words in found.text
