"""Two encoders' losses while they were trained, paired by seed.

A curve is the mean of a term over equal parts of the steps, or its value on held-out samples at
equal distances. Its area is its mean over a share of the training, so that it has the unit of the
loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from results.files import ResultsError
from results.statistics import Interval, interval

COLUMNS = ("split", "name", "noted", "first", "last", "value")
Tables = Sequence[Mapping[str, Sequence[Any]]]
"""The columns `COLUMNS` of each run, by seed."""

SPANS: dict[str, tuple[float, float]] = {
    "all": (0.0, 1.0),
    "first 25 %": (0.0, 0.25),
    "last 10 %": (0.9, 1.0),
}
"""Shares of the training over which areas are taken."""
FINAL = "last 10 %"
"""Over which a final loss is taken."""


@dataclass(frozen=True)
class Curve:
    """A term of one run: `ends` (P,) share of the training that has passed at the end of each
    part, ascending to 1, and `values` (P,)."""

    ends: tuple[float, ...]
    values: tuple[float, ...]

    def area(self, span: str) -> float:
        """The mean over a span of `SPANS`; parts count by what lies within it."""
        low, high = SPANS[span]
        starts = (0.0, *self.ends[:-1])
        within = [
            max(0.0, min(end, high) - max(start, low))
            for start, end in zip(starts, self.ends, strict=True)
        ]
        weighed = (share * value for share, value in zip(within, self.values, strict=True))
        return fsum(weighed) / fsum(within)

    def reaches(self, level: float) -> float | None:
        """The share of the training after which it first comes down to `level`, if ever.

        A curve that begins below it has to have been above: losses of boxes begin near 0, when
        there are hardly any boxes to be learned. One that never was above it is there at once.
        """
        above = False
        for end, value in zip(self.ends, self.values, strict=True):
            if above and value <= level:
                return end
            above = above or value > level
        return None if above else self.ends[0]


@dataclass(frozen=True)
class Reach:
    """How soon one encoder has the other's final loss.

    Attributes:
        runs: of each seed the share of the training, None where it never has.
        share: its mean with an interval over seeds; None unless every seed has.
    """

    runs: tuple[float | None, ...]
    share: Interval | None


@dataclass(frozen=True)
class Term:
    """A term of the loss of `a` and `b`.

    Attributes:
        split: `training` or `held_out`.
        curves: of a and of b, by seed.
        areas: span -> areas of a, of b, and the difference a - b.
        a_reaches, b_reaches: each the other's final value; None of what is no term of the loss
            but noted beside them.
    """

    split: str
    name: str
    curves: tuple[tuple[Curve, ...], tuple[Curve, ...]]
    areas: dict[str, tuple[Interval, Interval, Interval]]
    a_reaches: Reach | None
    b_reaches: Reach | None


def terms(a: Tables, b: Tables) -> list[Term]:
    """Every term of both, of training and of held-out samples.

    Args:
        a, b: tables of runs with the same seeds, in the same order.

    Raises:
        ResultsError: they do not have the same terms.
    """
    names = _names([*a, *b])
    return [
        _term(split, name, noted, _curves(a, split, name), _curves(b, split, name))
        for split, name, noted in names
    ]


def ratio(
    a: Tables, b: Tables, above: Sequence[str], below: Sequence[str], split: str
) -> tuple[Interval, Interval, Interval]:
    """The area of some terms divided by that of others: of a, of b, and the difference a - b."""
    each = [
        [
            fsum(_curve(t, split, n).area("all") for n in above)
            / fsum(_curve(t, split, n).area("all") for n in below)
            for t in side
        ]
        for side in (a, b)
    ]
    return _both(*each)


def _term(split: str, name: str, noted: bool, a: tuple[Curve, ...], b: tuple[Curve, ...]) -> Term:
    areas = {
        span: _both([curve.area(span) for curve in a], [curve.area(span) for curve in b])
        for span in SPANS
    }
    reached = (None, None) if noted else (_reach(a, b), _reach(b, a))
    return Term(split, name, (a, b), areas, *reached)


def _reach(curves: Sequence[Curve], others: Sequence[Curve]) -> Reach:
    runs = tuple(
        curve.reaches(other.area(FINAL)) for curve, other in zip(curves, others, strict=True)
    )
    known = [share for share in runs if share is not None]
    return Reach(runs, _over_seeds(known) if len(known) == len(runs) else None)


def _both(a: Sequence[float], b: Sequence[float]) -> tuple[Interval, Interval, Interval]:
    differences = [x - y for x, y in zip(a, b, strict=True)]
    return _over_seeds(a), _over_seeds(b), _over_seeds(differences)


def _over_seeds(values: Sequence[float]) -> Interval:
    return interval(values, [None] * len(values), [1] * len(values))


def _names(tables: Tables) -> list[tuple[str, str, bool]]:
    found = [
        list(dict.fromkeys(zip(t["split"], t["name"], t["noted"], strict=True))) for t in tables
    ]
    for other in found[1:]:
        if other != found[0]:
            differ = sorted(set(other) ^ set(found[0]))
            raise ResultsError(f"cannot compare curves: not every run has {differ[0]}")
    return found[0]


def _curves(tables: Tables, split: str, name: str) -> tuple[Curve, ...]:
    return tuple(_curve(table, split, name) for table in tables)


def _curve(table: Mapping[str, Sequence[Any]], split: str, name: str) -> Curve:
    length = max(table["last"]) + 1
    rows = zip(table["split"], table["name"], table["last"], table["value"], strict=True)
    points = [((last + 1) / length, value) for s, n, last, value in rows if (s, n) == (split, name)]
    if not points:
        raise ResultsError(f"cannot compare curves: there is no {name} of {split}")
    ends, values = zip(*points, strict=True)
    return Curve(ends, values)
