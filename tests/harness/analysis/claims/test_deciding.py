"""Verdicts from intervals."""

from __future__ import annotations

import pytest

from harness.analysis.claims.deciding import Estimate, Missing, Threshold, decide, together


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (0.1, 0.3, "holds", "does not hold"),
        (-0.3, -0.1, "does not hold", "holds"),
        (-0.1, 0.3, "undecided", "undecided"),
        (0.0, 0.3, "undecided", "undecided"),
        (-0.3, 0.0, "undecided", "undecided"),
        (None, None, "undecided", "undecided"),
    ],
)
def test_an_interval_is_on_a_side_or_on_none(
    low: float | None, high: float | None, above: str, below: str
) -> None:
    found = Estimate(0.2, low, high)
    assert decide(found, Threshold(0.0, "above")) == above
    assert decide(found, Threshold(0.0, "below")) == below


def test_what_is_missing_decides_nothing() -> None:
    assert decide(Missing("no runs"), Threshold(0.0, "above")) == "undecided"


def test_a_claim_holds_where_all_do_and_fails_where_one_does() -> None:
    assert together(["holds", "holds"]) == "holds"
    assert together(["holds", "undecided"]) == "undecided"
    assert together(["holds", "undecided", "does not hold"]) == "does not hold"
