"""What it would take to separate two encoders, at the variance seen."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import ceil

from results.components import LEVEL, Part, half_width
from results.statistics import Interval

MOST = 10_000

EQUAL = 1e-12
"""Means that differ by less do so by rounding."""


@dataclass(frozen=True)
class Outlook:
    """How many seeds would separate two encoders, should mean and variances stay.

    Attributes:
        seeds: at least 2; None where no number up to 10,000 would, or the spread is not known.
        samples: with any number of seeds, at least so many test samples are needed; None where
            the present ones are enough, or the sampling error is not known.
        text: in words.
    """

    seeds: int | None
    samples: int | None
    text: str


def outlook(difference: Interval, samples: int, pairs: int = 1) -> Outlook:
    """The outlook of a difference that was measured on so many test samples.

    Where it is one of so many pairs the level is that of Holm's strictest step, which does not
    depend on the others.
    """
    level = 1 - (1 - LEVEL) / pairs
    seeds, sampling = difference.parts.get("seeds"), difference.parts.get("samples")
    distance = abs(difference.mean)
    if seeds is None:
        return Outlook(None, None, "the spread over seeds is not known from one: run more")
    if distance < EQUAL:
        return Outlook(None, None, "the means are equal: no number of seeds separates them")
    shared = [] if sampling is None else [sampling]
    floor = half_width(shared, level) if shared else 0.0
    if floor >= distance:
        wanted = ceil(samples * (floor / distance) ** 2)
        text = "no number of seeds: the sampling error alone is larger than the difference"
        return Outlook(None, wanted, f"{text}; at least {wanted} test samples are needed")
    spread = seeds.variance * difference.seeds

    def separated(count: int) -> bool:
        return half_width([Part(spread / count, count - 1), *shared], level) < distance

    # More seeds make it narrower, so the first is found by halving.
    found = bisect_left(range(2, MOST + 1), True, key=separated) + 2
    if found > MOST:
        return Outlook(None, None, f"more than {MOST} seeds would be needed")
    return Outlook(found, None, f"{found} seeds would separate them")
