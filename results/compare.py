"""Paired comparison of two encoders, and the test whether a control is within chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results.files import ResultsError
from results.pairing import Scores, sampling
from results.record import Record
from results.settings import differences, encoder, setting
from results.statistics import Interval, interval

CHANCE = 0.1
"""Share of the trained network's gain that a control within chance stays below."""


@dataclass(frozen=True)
class Comparison:
    """The figure of `a` minus that of `b`, paired by seed.

    Attributes:
        difference: in the metric's unit.
        seeds: those that were compared.
        better: which direction of the metric is better.
        unpaired: why scores did not tell how far the sampling errors cancel out; they are then
            taken as independent, which makes the interval too wide. Empty where they did.
    """

    difference: Interval
    seeds: tuple[int, ...]
    better: str
    unpaired: str

    @property
    def gain(self) -> float:
        """How much better `a` is, whatever the metric's direction."""
        return self.difference.mean if self.better == "higher" else -self.difference.mean

    @property
    def separated(self) -> bool:
        """Whether the interval excludes 0 and the spread over seeds is part of it."""
        return "seeds" in self.difference.knows and self.difference.excludes(0.0)


def compare(
    a: Sequence[Record],
    b: Sequence[Record],
    scores: Scores | None = None,
    apart: Sequence[str] = (),
) -> Comparison:
    """Compare two groups of finished records: each one encoder (or one control of it), run with
    the same recipe, data and seeds.

    Seeds are paired always, samples where `scores` gives those of all records (results/pairing.py).
    In the entries of the setting that are named `apart` the groups may differ: then these are what
    is compared.

    Raises:
        ResultsError: what is not the same, listed.
    """
    first, second = by_seed(a), by_seed(b)
    if first.keys() != second.keys():
        one, other = (group[0].backbone["name"] for group in (a, b))
        raise ResultsError(
            f"cannot compare: `{one}` has the seeds {sorted(first)}, `{other}` {sorted(second)}; "
            "run the missing ones"
        )
    pairs = [(first[seed], second[seed]) for seed in sorted(first)]
    for one, other in pairs:
        same_setting([pairs[0][0], one])
        same_setting([pairs[0][1], other])
    same_setting(pairs[0], apart)
    found = sampling(pairs, scores)
    difference = interval(
        [x.figure().value - y.figure().value for x, y in pairs],
        found.errors,
        [found.samples] * len(pairs),
        found.shared,
    )
    better = pairs[0][0].figure().better
    return Comparison(difference, tuple(sorted(first)), better, found.unpaired)


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


def by_seed(records: Sequence[Record]) -> dict[int, Record]:
    """The records of one encoder and control, by seed.

    Raises:
        ResultsError: none, unfinished ones, several encoders, or a seed twice.
    """
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


def same_setting(records: Sequence[Record], apart: Sequence[str] = ()) -> None:
    """Refuse records of different settings, but for the entries named `apart`.

    Raises:
        ResultsError: listing what differs.
    """
    first = setting(records[0])
    for record in records[1:]:
        found = differences(first, setting(record), apart)
        if found:
            raise ResultsError(f"cannot compare: what differs is {'; '.join(found)}")
