"""Every claim of a file, held against the evidence."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.claims import dynamics, inside, scores
from harness.analysis.claims.deciding import Estimate, Missing, Verdict, decide, together
from harness.analysis.claims.evidence import Evidence
from harness.analysis.claims.model import (
    Area,
    Attention,
    Claim,
    Claims,
    Gain,
    Reach,
    Similarity,
    Slope,
    Test,
    Wins,
)


@dataclass(frozen=True)
class Trial:
    """A test with what was found."""

    test: Test
    found: Estimate | Missing
    verdict: Verdict


@dataclass(frozen=True)
class Judged:
    """A claim with its tests."""

    claim: Claim
    tests: tuple[Trial, ...]
    verdict: Verdict


def judge(claims: Claims, evidence: Evidence) -> list[Judged]:
    """Test every claim, in the order of the file.

    Raises:
        ResultsError, LoadError: evidence that is there but cannot be read.
    """
    return [_judged(claim, claims, evidence) for claim in claims.claims]


def _judged(claim: Claim, claims: Claims, evidence: Evidence) -> Judged:
    tested = []
    for test in claim.tests:
        found = _estimate(test, claims, evidence)
        tested.append(Trial(test, found, decide(found, test.threshold)))
    return Judged(claim, tuple(tested), together(each.verdict for each in tested))


def _estimate(test: Test, claims: Claims, evidence: Evidence) -> Estimate | Missing:
    for role in test.roles:
        if role not in evidence.names:
            return Missing(f"no {role} encoder was named: give one with --{role}")
    match test:
        case Attention():
            return inside.attention(test, evidence)
        case Similarity():
            return inside.similarity(test, evidence)
        case Gain():
            return scores.gain(test, evidence)
        case Wins():
            return scores.wins(test, claims, evidence)
        case Slope():
            return scores.slope(test, evidence)
        case Area():
            return dynamics.area(test, evidence)
        case Reach():
            return dynamics.reach(test, evidence)
