"""Evidence from the scores of finished runs: gains, wins over label sets, and slopes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import fsum, sqrt
from typing import TYPE_CHECKING

from harness.analysis.claims.deciding import Estimate, Missing, of_interval
from harness.analysis.claims.evidence import SEEDS, WHOLE, Evidence, command, runs
from harness.analysis.claims.model import Claims, Gain, LabelSet, Slope, Wins
from harness.scores import scores_of
from results import Record, ResultsError, slopes
from results.compare import Comparison, compare
from results.components import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.scores import Columns
    from results.pairing import Scores

DROPPED = ("recipe.backbone.drop_last", "recipe.backbone.drop_mode")
NODES = 400
"""Of the quadrature over the spread of seeds: errors below 1e-6 in the share."""


def gain(test: Gain, evidence: Evidence) -> Estimate | Missing:
    """How much better the first encoder scores, as it is or in pooled standard deviations."""
    found = runs(evidence, test)
    if isinstance(found, Missing):
        return found
    try:
        comparison = _compare(found, evidence)
    except ResultsError as error:
        return Missing(str(error))
    if test.over is not None:
        first, second = ([_gain(r) for r in group] for group in found)
        return standardised(first, second)
    difference = of_interval(comparison.difference, f"{len(comparison.seeds)} seeds")
    return difference if comparison.better == "higher" else _negative(difference)


def standardised(first: Sequence[float], second: Sequence[float]) -> Estimate | Missing:
    """The difference of the means over the pooled standard deviation of both over seeds.

    Interval: the values of the non-central t distribution's parameter that leave 2.5 % beyond what
    was found on either side (Hedges and Olkin, Statistical methods for meta-analysis, chapter 5);
    exact for normal figures of independent seeds.
    """
    a, b = len(first), len(second)
    means = fsum(first) / a, fsum(second) / b
    squares = fsum((v - m) ** 2 for vs, m in zip((first, second), means, strict=True) for v in vs)
    if not squares:
        return Missing("the seeds of each encoder score the same: no standard deviation")
    value = (means[0] - means[1]) / sqrt(squares / (a + b - 2))
    scale = sqrt(a * b / (a + b))
    low, high = (_noncentral(share, a + b - 2, value * scale) for share in (0.975, 0.025))
    return Estimate(value, low / scale, high / scale, f"{min(a, b)} seeds")


def wins(test: Wins, claims: Claims, evidence: Evidence) -> Estimate | Missing:
    """The share of label sets on which the first encoder is better, with Clopper's and Pearson's
    interval (Biometrika 26, 1934); sets with equal scores are left out, as in the sign test."""
    counted = [s for s in claims.sets if _counts(s, test.coverage, claims.covered_from)]
    if not counted:
        open_sets = ", ".join(s.name for s in claims.sets if s.coverage is None) or "none"
        return Missing(
            f"no set counts as {test.coverage}; without a `coverage` in the file: {open_sets}"
        )
    gains: dict[str, float] = {}
    lacking: list[Missing] = []
    for each in counted:
        found = runs(evidence, test, (*each.where, WHOLE), each.dataset)
        try:
            if not isinstance(found, Missing):
                gains[each.name] = _compare(found, evidence).gain
                continue
        except ResultsError as error:
            found = Missing(str(error))
        lacking.append(Missing(f"{each.name}: {found.why}", found.command))
    decided = {name: value for name, value in gains.items() if value}
    commands = "; ".join(each.command for each in lacking if each.command)
    if not decided:
        return Missing("; ".join(each.why for each in lacking) or "all scores are equal", commands)
    won = sum(value > 0 for value in decided.values())
    low, high = _share(won, len(decided))
    note = f"{won} of {len(decided)} sets ({', '.join(decided)}); fewer than 6 cannot decide"
    if len(decided) >= 6:
        note = f"{won} of {len(decided)} sets"
    return Estimate(won / len(decided), low, high, note, commands)


def slope(test: Slope, evidence: Evidence) -> Estimate | Missing:
    """The slope of the score over the number of blocks (results/slopes.py); above 0: the score
    becomes better."""
    mode = f"backbone.drop_mode={test.mode}"
    repeat = command(evidence, test, [] if test.mode == "removed" else [mode], levels=test.levels)
    lines: list[dict[float, Sequence[Record]]] = [{} for _ in test.roles]
    seeds: list[set[int]] = []
    for level in test.levels:
        where = (f"backbone.drop_last={level}", *([mode] if level else []))
        found = runs(evidence, test, where)
        if isinstance(found, Missing):
            return Missing(f"{level} blocks {test.mode}: {found.why}", repeat)
        seeds.append({record.seed for record in found[0]})
        for line, group in zip(lines, found, strict=True):
            line[level] = group
    common = set.intersection(*seeds)
    if len(common) < SEEDS:
        return Missing(f"{len(common)} seeds at all numbers of blocks, {SEEDS} are needed", repeat)
    each = [
        {level: [r for r in group if r.seed in common] for level, group in line.items()}
        for line in lines
    ]
    first, *other = each
    scores = _scores(evidence)
    try:
        if other:
            measured = slopes.difference(first, other[0], scores, DROPPED)
        else:
            measured = slopes.slope(first, scores, DROPPED)
    except ResultsError as error:
        return Missing(str(error), repeat)
    value = of_interval(measured.value, f"{len(common)} seeds")
    better = first[test.levels[0]][0].figure().better
    return value if better == "higher" else _negative(value)


def _compare(found: Sequence[tuple[Record, ...]], evidence: Evidence) -> Comparison:
    return compare(found[0], found[1], _scores(evidence))


def _scores(evidence: Evidence) -> Scores:
    def scores(record: Record) -> Columns | None:
        return scores_of(record, evidence.output)

    return scores


def _gain(record: Record) -> float:
    figure = record.figure()
    return figure.value if figure.better == "higher" else -figure.value


def _negative(found: Estimate) -> Estimate:
    if found.low is None or found.high is None:
        return Estimate(-found.value, None, None, found.note)
    return Estimate(-found.value, -found.high, -found.low, found.note)


def _counts(each: LabelSet, wanted: str, covered_from: float) -> bool:
    if each.coverage is None:
        return False
    return (each.coverage >= covered_from) == (wanted == "covered")


def _noncentral(share: float, freedom: int, t: float) -> float:
    """The non-centrality at which a share of the distribution lies below t."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    # T = (Z + d) / s, so its share below t is the mean of ndtr(t s - d) over s. SciPy's own
    # function is NaN for some d.
    roots, weights = _chi(freedom)
    scaled = t * roots

    def beyond(d: float) -> float:
        return float(weights @ ndtr(scaled - d) - share)

    return float(brentq(beyond, scaled.min() - 10, scaled.max() + 10))


@cache
def _chi(freedom: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values of the root of a chi-square over its degrees of freedom, and their weights in a
    mean."""
    import numpy as np
    from scipy.special import gammaincinv

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return np.sqrt(2 * gammaincinv(freedom / 2, (nodes + 1) / 2) / freedom), weights / 2


def _share(won: int, of: int) -> tuple[float, float]:
    from scipy.special import betaincinv

    tail = (1 - LEVEL) / 2
    low = float(betaincinv(won, of - won + 1, tail)) if won else 0.0
    high = float(betaincinv(won + 1, of - won, 1 - tail)) if won < of else 1.0
    return low, high
