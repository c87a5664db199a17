"""Several encoders on one task: every pair compared, corrected for their number, and ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from results.compare import Comparison, compare
from results.components import LEVEL
from results.holm import holm
from results.outlook import Outlook, outlook
from results.pairing import Scores
from results.record import Record


@dataclass(frozen=True)
class Pair:
    """Two encoders.

    Attributes:
        comparison: `a` minus `b`; its interval is not corrected.
        p: two-sided p value of the difference, from the same variance and quantile as the interval;
            None where nothing is known of its spread.
        adjusted: after Holm, over all pairs.
        outlook: what would separate them, where they are not.
    """

    a: str
    b: str
    comparison: Comparison
    p: float | None
    adjusted: float | None
    outlook: Outlook | None

    @property
    def separated(self) -> bool:
        """Whether they differ after the correction, the spread over seeds being part of it."""
        return self.outlook is None


@dataclass(frozen=True)
class Ranking:
    """Encoders in order.

    Attributes:
        pairs: all, in the order given.
        ranks: name -> 1 + the number of encoders that are better and separated from it; best
            first, of one rank the better mean first. Encoders that are not separated may so share
            a rank, and one may be tied with encoders of two ranks: `ties` says with which.
        ties: name -> those that it is not separated from.
        closest: of the pairs that are not separated, that with the smallest difference.
    """

    pairs: tuple[Pair, ...]
    ranks: dict[str, int]
    ties: dict[str, tuple[str, ...]]
    closest: Pair | None


def rank(groups: Mapping[str, Sequence[Record]], scores: Scores | None = None) -> Ranking:
    """Compare every two of the groups, each the finished records of one encoder, and rank them.

    Raises:
        ResultsError: two of them cannot be compared; what differs is listed.
    """
    names = list(groups)
    found = [(a, b, compare(groups[a], groups[b], scores)) for a, b in combinations(names, 2)]
    values = [comparison.difference.p for _, _, comparison in found]
    # A p value that is not known takes part as 1: it must not ease the correction of others.
    adjusted = holm([1.0 if p is None else p for p in values])
    samples = min(record.figure().n for group in groups.values() for record in group)
    pairs = tuple(
        _pair(a, b, comparison, p, None if p is None else corrected, samples, len(found))
        for (a, b, comparison), p, corrected in zip(found, values, adjusted, strict=True)
    )
    beaten = dict.fromkeys(names, 0)
    wins = dict.fromkeys(names, 0.0)
    for pair in pairs:
        gain = pair.comparison.gain
        wins[pair.a] += gain
        wins[pair.b] -= gain
        if pair.separated:
            beaten[pair.b if gain > 0 else pair.a] += 1
    # Over all pairs the gains of one add up to its mean, times their number, less a constant.
    order = sorted(names, key=lambda name: (beaten[name], -wins[name], name))
    tied = [pair for pair in pairs if not pair.separated]
    return Ranking(
        pairs,
        {name: 1 + beaten[name] for name in order},
        {name: _others(name, tied) for name in order},
        min(tied, key=lambda pair: abs(pair.comparison.difference.mean), default=None),
    )


def _pair(
    a: str,
    b: str,
    comparison: Comparison,
    p: float | None,
    adjusted: float | None,
    samples: int,
    pairs: int,
) -> Pair:
    known = "seeds" in comparison.difference.knows
    separated = known and adjusted is not None and adjusted < 1 - LEVEL
    ahead = None if separated else outlook(comparison.difference, samples, pairs)
    return Pair(a, b, comparison, p, adjusted, ahead)


def _others(name: str, tied: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(p.b if p.a == name else p.a for p in tied if name in (p.a, p.b))
