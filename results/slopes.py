"""The slope of a figure over a setting: by seed, with a 95 % interval from seeds and samples.

The slope of a seed is that of the least-squares line through its figures y at the settings x,

    b = sum w(x) y(x),    w(x) = (x - mean x) / sum (x - mean x)^2,

a weighted sum as a difference is one, with weights 1 and -1; so its interval is built alike
(results/statistics.py): the spread of b over seeds, and the covariance of sampling errors, w' C w,
where C comes from the scores of all runs on the same samples (results/pairing.py). A bend is no
error: the line is a summary of the points that were measured, and its slope that of the summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from results.compare import by_seed, same_setting
from results.files import ResultsError
from results.pairing import Scores, of_groups
from results.record import Record
from results.statistics import Interval, interval

Line = Mapping[float, Sequence[Record]]
"""Setting -> finished records of one encoder and control, one a seed."""


@dataclass(frozen=True)
class Slope:
    """A slope, or the difference of two, in the metric's unit a unit of the setting.

    Attributes:
        value: mean over seeds.
        seeds: those that it is from.
        unpaired: as in `results.compare.Comparison`.
    """

    value: Interval
    seeds: tuple[int, ...]
    unpaired: str


def slope(line: Line, scores: Scores | None = None, apart: Sequence[str] = ()) -> Slope:
    """The slope of a line.

    Args:
        line: at two settings or more.
        scores: as for `compare`.
        apart: entries of the setting in which the records may differ: that which varies.

    Raises:
        ResultsError: too few settings, other seeds at one of them, or what else is not the same.
    """
    return _sum([(line, 1.0)], scores, apart)


def difference(a: Line, b: Line, scores: Scores | None = None, apart: Sequence[str] = ()) -> Slope:
    """The slope of `a` minus that of `b`, paired by seed and sample.

    Raises:
        ResultsError: as `slope`, for both together.
    """
    if a.keys() != b.keys():
        raise ResultsError(
            f"cannot compare slopes: one line is at {_listed(a)}, the other at {_listed(b)}"
        )
    return _sum([(a, 1.0), (b, -1.0)], scores, apart)


def weights(settings: Sequence[float]) -> list[float]:
    """What the figure at each setting counts for in the slope of the least-squares line."""
    middle = fsum(settings) / len(settings)
    square = fsum((x - middle) ** 2 for x in settings)
    return [(x - middle) / square for x in settings]


def _sum(lines: Sequence[tuple[Line, float]], scores: Scores | None, apart: Sequence[str]) -> Slope:
    groups: list[dict[int, Record]] = []
    factors: list[float] = []
    for line, sign in lines:
        if len(line) < 2:
            raise ResultsError(f"a slope needs two settings, there is {_listed(line)}")
        groups += [by_seed(records) for records in line.values()]
        factors += [sign * weight for weight in weights(list(line))]
    seeds = tuple(sorted(groups[0]))
    for group in groups:
        if tuple(sorted(group)) != seeds:
            raise ResultsError(
                f"cannot compare: there are the seeds {list(seeds)} at one point of the line, "
                f"{sorted(group)} at another; run the missing ones"
            )
    ordered = [[group[seed] for seed in seeds] for group in groups]
    first = ordered[0][0]
    for runs in ordered:
        same_setting(runs)
        same_setting([first, runs[0]], apart)
    found = of_groups(ordered, factors, scores)
    values = [
        fsum(w * runs[at].figure().value for w, runs in zip(factors, ordered, strict=True))
        for at in range(len(seeds))
    ]
    value = interval(values, found.errors, [found.samples] * len(seeds), found.shared)
    return Slope(value, seeds, found.unpaired)


def _listed(line: Line) -> str:
    return ", ".join(f"{x:g}" for x in sorted(line)) or "none"
