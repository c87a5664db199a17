"""Paired comparison of two encoders, and the test whether a control is within chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from results.files import ResultsError
from results.record import Record
from results.settings import differences, encoder, setting
from results.statistics import Interval, interval

Scores = Callable[[Record], Mapping[str, Sequence[float]] | None]
"""What a record's figure can be paired by: its primary metric on resamples of the test set, or its
per-sample scores. Columns, `sample` among them; None where there are none."""

CHANCE = 0.1
"""Share of the trained network's gain that a control within chance stays below."""


@dataclass(frozen=True)
class Comparison:
    """The figure of `a` minus that of `b`, paired by seed.

    Attributes:
        difference: in the metric's unit.
        seeds: those that were compared.
        better: which direction of the metric is better.
        paired_samples: whether per-sample scores told how far the sampling errors cancel out;
            otherwise they are taken as independent, which makes the interval too wide.
    """

    difference: Interval
    seeds: tuple[int, ...]
    better: str
    paired_samples: bool

    @property
    def gain(self) -> float:
        """How much better `a` is, whatever the metric's direction."""
        return self.difference.mean if self.better == "higher" else -self.difference.mean

    @property
    def separated(self) -> bool:
        """Whether the interval excludes 0 and the spread over seeds is part of it."""
        return "seeds" in self.difference.knows and self.difference.excludes(0.0)


def compare(a: Sequence[Record], b: Sequence[Record], scores: Scores | None = None) -> Comparison:
    """Compare two groups of finished records: each one encoder (or one control of it), run with
    the same recipe, data and seeds.

    The sampling variance of a difference is ea² + eb² - 2 r ea eb, with r the correlation of the
    scores: over samples where the metric is their mean, over resamples elsewhere (AP).

    Raises:
        ResultsError: what is not the same, listed.
    """
    first, second = _by_seed(a), _by_seed(b)
    if first.keys() != second.keys():
        raise ResultsError(
            f"cannot compare: seeds {sorted(first)} against {sorted(second)}; run the missing ones"
        )
    pairs = [(first[seed], second[seed]) for seed in sorted(first)]
    _same_setting([record for pair in pairs for record in pair])
    values, errors, samples, paired = [], [], [], []
    for x, y in pairs:
        r = None if scores is None else _correlation(scores(x), scores(y), x.primary)
        values.append(x.figure().value - y.figure().value)
        errors.append(_error(x, y, r or 0.0))
        samples.append(min(x.figure().n, y.figure().n))
        paired.append(r is not None)
    better = pairs[0][0].figure().better
    return Comparison(interval(values, errors, samples), tuple(sorted(first)), better, all(paired))


@dataclass(frozen=True)
class Chance:
    """Whether a network that was trained on permuted labels stayed within chance.

    Attributes:
        within: bound < limit.
        bound: upper end of the 95 % interval of the gain of permuted over constant; None where
            the interval is not known.
        limit: 10 % of the gain of trained over constant.
    """

    within: bool
    bound: float | None
    limit: float


def within_chance(
    permuted: Sequence[Record],
    constant: Sequence[Record],
    trained: Sequence[Record],
    scores: Scores | None = None,
) -> Chance:
    """Whether the upper 95 % bound of (permuted - constant) is below 10 % of
    (trained - constant). Never, where the trained network is not better than the constant.

    Raises:
        ResultsError: the groups cannot be compared.
    """
    over_constant = compare(permuted, constant, scores)
    limit = CHANCE * compare(trained, constant, scores).gain
    found = over_constant.difference
    bound = found.high
    if over_constant.better == "lower":
        bound = None if found.low is None else -found.low
    return Chance(bound is not None and limit > 0 and bound < limit, bound, limit)


def _by_seed(records: Sequence[Record]) -> dict[int, Record]:
    """The records of one encoder and control, by seed."""
    if not records:
        raise ResultsError("cannot compare: one side has no records")
    for record in records:
        if record.status != "finished":
            raise ResultsError(f"cannot compare: cell {record.cell[:12]} is {record.status}")
    who = sorted({f"{r.backbone['name']} ({r.control or 'no control'})" for r in records})
    if len({(encoder(r), r.control) for r in records}) > 1:
        raise ResultsError(f"cannot compare: one side mixes {', '.join(who)}")
    found = {record.seed: record for record in records}
    if len(found) < len(records):
        raise ResultsError(f"cannot compare: {who[0]} has several records of one seed")
    return found


def _same_setting(records: Sequence[Record]) -> None:
    first = setting(records[0])
    for record in records[1:]:
        found = differences(first, setting(record))
        if found:
            raise ResultsError(f"cannot compare: what differs is {'; '.join(found)}")


def _error(a: Record, b: Record, r: float) -> float | None:
    """Sampling error of a's figure minus b's."""
    x, y = a.figure().error, b.figure().error
    return None if x is None or y is None else sqrt(max(0.0, x * x + y * y - 2 * r * x * y))


def _correlation(
    a: Mapping[str, Sequence[float]] | None, b: Mapping[str, Sequence[float]] | None, primary: str
) -> float | None:
    """Correlation of two networks' scores over the same samples; None where it is not defined."""
    import numpy as np

    if a is None or b is None:
        return None
    column = _column(a, primary)
    if column is None or column != _column(b, primary):
        return None
    if list(a["sample"]) != list(b["sample"]):
        raise ResultsError("cannot compare: the per-sample scores are not of the same samples")
    x, y = np.asarray(a[column], float), np.asarray(b[column], float)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 2 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return None
    return float(np.corrcoef(x[both], y[both])[0, 1])


def _column(scores: Mapping[str, Sequence[float]], primary: str) -> str | None:
    """The column of scores that stands for the primary metric: of its name, or the only one."""
    others = [name for name in scores if name != "sample"]
    if primary in others:
        return primary
    return others[0] if len(others) == 1 else None
