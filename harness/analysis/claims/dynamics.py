"""Evidence from the losses of finished runs while they were trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.claims.deciding import Estimate, Missing, of_interval
from harness.analysis.claims.evidence import Evidence, runs
from harness.analysis.claims.model import Area, Reach
from harness.curves import between
from harness.errors import UserError
from results import ResultsError
from results.curves import FINAL
from results.statistics import interval

if TYPE_CHECKING:
    from results.curves import Term


def area(test: Area, evidence: Evidence) -> Estimate | Missing:
    """The difference of the areas under a term of the loss, paired by seed."""
    term = _term(test, evidence)
    if isinstance(term, Missing):
        return term
    found = term.areas[test.span][2]
    return of_interval(found, f"{found.seeds} seeds")


def reach(test: Reach, evidence: Evidence) -> Estimate | Missing:
    """The difference of the shares of the training after which both are down to one level."""
    term = _term(test, evidence)
    if isinstance(term, Missing):
        return term
    differences = []
    for first, second in zip(*term.curves, strict=True):
        level = max(first.area(FINAL), second.area(FINAL))
        shares = first.reaches(level), second.reaches(level)
        if shares[0] is None or shares[1] is None:
            return Missing(f"a curve of {test.term} stays above its own final mean")
        differences.append(shares[0] - shares[1])
    count = len(differences)
    return of_interval(interval(differences, [None] * count, [1] * count), f"{count} seeds")


def _term(test: Area | Reach, evidence: Evidence) -> Term | Missing:
    found = runs(evidence, test)
    if isinstance(found, Missing):
        return found
    first, second = (evidence.names[role] for role in test.roles)
    try:
        curves = between(
            first, second, dict(zip((first, second), found, strict=True)), evidence.output
        )
    except (UserError, ResultsError) as error:
        return Missing(str(error))
    for term in curves.terms:
        if (term.split, term.name) == (test.split, test.term):
            return term
    known = ", ".join(term.name for term in curves.terms if term.split == test.split)
    return Missing(f"no term {test.term} of {test.split}; there is {known}")
