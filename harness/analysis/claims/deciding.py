"""From an estimate with its interval to a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from results.statistics import Interval

Verdict = Literal["holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Estimate:
    """What was found.

    Attributes:
        value: in the unit of the test.
        low, high: 95 % interval; None where its spread is not known.
        note: what the reader must know of it.
        command: what adds to the evidence, if anything can.
    """

    value: float
    low: float | None
    high: float | None
    note: str = ""
    command: str = ""


@dataclass(frozen=True)
class Missing:
    """Why there is no estimate, and the command that changes that (empty where none does)."""

    why: str
    command: str = ""


@dataclass(frozen=True)
class Threshold:
    """A value that was written down beforehand, and the side of it that a claim is on."""

    value: float
    side: Literal["above", "below"]


def decide(found: Estimate | Missing, threshold: Threshold) -> Verdict:
    """`holds` where the whole interval lies on the claim's side of the threshold, `does not hold`
    where it lies on the other, `undecided` where the threshold is within or at its end, or where
    there is no interval."""
    if isinstance(found, Missing) or found.low is None or found.high is None:
        return "undecided"
    above, below = found.low > threshold.value, found.high < threshold.value
    if not above and not below:
        return "undecided"
    return "holds" if above == (threshold.side == "above") else "does not hold"


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Of a claim with several tests: it holds where all do, and fails where one does."""
    found = set(verdicts)
    if "does not hold" in found:
        return "does not hold"
    return "holds" if found == {"holds"} else "undecided"


def of_interval(found: Interval, note: str = "") -> Estimate:
    """An interval over seeds as an estimate."""
    notes = [text for text in (note, found.note) if text]
    return Estimate(found.mean, found.low, found.high, "; ".join(notes))
