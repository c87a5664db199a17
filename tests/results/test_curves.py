"""Areas under curves, when one reaches the other's end, and ratios, against closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from results import ResultsError, curves
from results.statistics import interval


def table(steps: int, parts: int, **terms: Any) -> dict[str, Sequence[Any]]:
    """A run's table: each term a function of the middle of a part."""
    rows = []
    for number in range(parts):
        first, last = number * steps // parts, (number + 1) * steps // parts - 1
        middle = (first + last + 1) / 2 / steps
        rows += [
            ("training", name, name == "count", first, last, value(middle))
            for name, value in terms.items()
        ]
        rows += [
            ("held_out", name, name == "count", last, last, value(1.0))
            for name, value in terms.items()
        ]
    names = ("split", "name", "noted", "first", "last", "value")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def falling(t: float) -> float:
    return 2 - t


def late(t: float) -> float:
    return 3 - t


def test_areas_are_means_over_their_span() -> None:
    curve = curves._curve(table(200, 40, loss=falling), "training", "loss")
    assert curve.area("all") == pytest.approx(1.5)
    assert curve.area("first 25 %") == pytest.approx(2 - 0.125)
    assert curve.area("last 10 %") == pytest.approx(2 - 0.95)


def test_a_part_counts_by_what_lies_within_the_span() -> None:
    curve = curves.Curve((0.2, 0.6, 1.0), (10.0, 1.0, 3.0))
    assert curve.area("first 25 %") == pytest.approx((0.2 * 10 + 0.05 * 1) / 0.25)
    assert curve.area("last 10 %") == pytest.approx(3.0)


def test_the_lower_curve_reaches_the_other_end_and_not_conversely() -> None:
    a, b = [table(200, 50, loss=falling)], [table(200, 50, loss=lambda t: 1.2 + 0.3 * (1 - t))]
    term = curves.terms(a, b)[0]
    assert term.split == "training"
    # b ends at 1.2 + 0.3 * 0.05; a is there where 2 - t is, its part's end being what is told.
    (share,) = term.a_reaches.runs
    assert share == pytest.approx(0.8, abs=0.02)
    assert term.b_reaches.runs == (None,) and term.b_reaches.share is None


def test_what_is_noted_reaches_nothing() -> None:
    runs = [table(100, 10, loss=falling, count=falling)]
    reached = {term.name: term.a_reaches for term in curves.terms(runs, runs)}
    assert reached["loss"] is not None and reached["count"] is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((3.0, 2.0, 1.0, 0.5), 0.75),
        ((0.1, 2.0, 3.0, 0.9), 1.0),
        ((0.1, 2.0, 3.0, 2.0), None),
        ((0.1, 0.2, 0.3, 0.2), 0.25),
        ((1.5, 1.0, 2.0, 0.5), 0.5),
    ],
)
def test_a_level_is_reached_from_above(values: tuple[float, ...], expected: float | None) -> None:
    assert curves.Curve((0.25, 0.5, 0.75, 1.0), values).reaches(1.0) == expected


def test_intervals_are_over_paired_seeds() -> None:
    a = [table(100, 10, loss=lambda t, k=k: falling(t) + k) for k in (0.0, 0.5, 0.1)]
    b = [table(100, 10, loss=lambda t, k=k: late(t) + k) for k in (0.0, 0.5, 0.1)]
    one, _, difference = curves.terms(a, b)[0].areas["all"]
    expected = interval([1.5, 2.0, 1.6], [None] * 3, [1] * 3)
    assert (one.mean, one.low) == pytest.approx((expected.mean, expected.low))
    assert difference.low == pytest.approx(-1.0) and difference.high == pytest.approx(-1.0)


def test_a_ratio_is_of_areas() -> None:
    def run() -> list[dict[str, Sequence[Any]]]:
        return [table(100, 10, box=lambda t: 1.0, rpn_box=lambda t: 0.5, cls=falling)]

    found, _, difference = curves.ratio(run(), run(), ("box", "rpn_box"), ("cls",), "training")
    assert found.mean == pytest.approx(1.0)
    assert difference.mean == 0


def test_runs_with_other_terms_are_refused() -> None:
    with pytest.raises(ResultsError, match="not every run has"):
        curves.terms([table(10, 2, loss=falling)], [table(10, 2, box=falling)])
    with pytest.raises(ResultsError, match="no mask of training"):
        a = [table(10, 2, loss=falling)]
        curves.ratio(a, a, ("mask",), ("loss",), "training")
