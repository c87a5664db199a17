"""Verdicts from finished runs of known truth, and what is asked for where they lack."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.analysis.claims.deciding import Estimate, Missing
from harness.analysis.claims.judging import Trial, judge
from harness.analysis.claims.model import Role
from harness.analysis.claims.scores import standardised
from harness.comparing import Filters
from results import Record
from tests.harness.analysis.claims.stand_ins import claims, evidence, run

GAIN = {"evidence": "gain", "task": "pose", "of": "mim - supervised", "above": 0}
SLOPE = {
    "evidence": "slope",
    "task": "pose",
    "levels": [0, 2, 4],
    "of": "mim - supervised",
    "below": 0,
}
WINS = {
    "evidence": "wins",
    "task": "classification",
    "coverage": "not covered",
    "of": "mim - supervised",
    "above": 0.5,
}


def only(test: dict[str, Any], records: list[Record], **more: Any) -> Trial:
    filters = more.pop("filters", None)
    (judged,) = judge(claims(test, **more), evidence(records=records, filters=filters))
    (trial,) = judged.tests
    return trial


def pair(first: float, second: float, seeds: int = 3, **fields: Any) -> list[Record]:
    return [
        run(name, seed, value + seed / 1000, **fields)
        for name, value in (("one", first), ("two", second))
        for seed in range(seeds)
    ]


def test_a_gain_is_a_gain_whatever_is_better() -> None:
    higher, lower = pair(0.8, 0.5), pair(0.5, 0.8, better="lower")
    for records in (higher, lower):
        found = only(GAIN, records)
        assert found.verdict == "holds"
        assert isinstance(found.found, Estimate) and found.found.value == pytest.approx(0.3)
    assert only(GAIN, pair(0.5, 0.8)).verdict == "does not hold"
    assert only(GAIN, pair(0.5, 0.5)).verdict == "undecided"


def test_few_seeds_are_said_with_the_command() -> None:
    found = only(GAIN, pair(0.8, 0.5, seeds=2)).found
    assert isinstance(found, Missing)
    assert found.why == "2 common seeds of one and two, 3 are needed"
    assert found.command == (
        "for b in one two; do for s in 0 1 2; do "
        'harness run --backbone "$b" --task pose --seed $s; done; done'
    )


def test_runs_of_several_settings_are_not_mixed() -> None:
    records = [*pair(0.8, 0.5), run("one", 5, 0.1, steps=7)]
    found = only(GAIN, records).found
    assert isinstance(found, Missing) and "recipe.train.steps" in found.why
    narrowed = Filters(where=("train.steps=100",))
    assert only(GAIN, records, filters=narrowed).verdict == "holds"


def test_whole_encoders_are_compared_where_others_have_blocks_dropped() -> None:
    records = pair(0.8, 0.5) + pair(0.1, 0.9, drop=2)
    assert only(GAIN, records).verdict == "holds"


@pytest.mark.parametrize("truth", [0.0, 2.0])
def test_the_standardised_interval_covers(truth: float) -> None:
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        a, b = rng.standard_normal((2, 3))
        found = standardised((a + truth).tolist(), b.tolist())
        assert isinstance(found, Estimate) and found.low is not None and found.high is not None
        covered.append(found.low <= truth <= found.high)
    assert abs(np.mean(covered) - 0.95) < 3 * np.sqrt(0.05 * 0.95 / 400)


def test_the_standardised_interval_ends_where_students_t_does() -> None:
    """It excludes 0 exactly where the t test does."""
    a, b = [1.0, 1.2, 1.1], [0.7, 0.9, 0.95]
    found = standardised(a, b)
    assert isinstance(found, Estimate) and found.low is not None
    pooled = np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)
    assert found.value == pytest.approx((np.mean(a) - np.mean(b)) / pooled)
    assert (found.low > 0) == (stats.ttest_ind(a, b).pvalue < 0.05)
    assert isinstance(standardised([1.0, 1.0], [0.5, 0.5]), Missing)


@pytest.mark.parametrize(("a", "b"), [([1.0, 1.5, 2.0], [0.6, 0.2, 1.2]), ([3.0, 2.0], [9.0, 7.5])])
def test_at_its_ends_what_was_found_has_one_in_forty(a: list[float], b: list[float]) -> None:
    found = standardised(a, b)
    assert isinstance(found, Estimate) and found.low is not None and found.high is not None
    t, freedom, scale = stats.ttest_ind(a, b).statistic, 2 * len(a) - 2, np.sqrt(len(a) / 2)
    assert stats.nct.sf(t, freedom, found.low * scale) == pytest.approx(0.025, abs=1e-5)
    assert stats.nct.cdf(t, freedom, found.high * scale) == pytest.approx(0.025, abs=1e-5)


def test_a_gap_of_two_deviations_needs_more_than_a_gap() -> None:
    test = GAIN | {"over": "pooled std", "above": 2}
    assert only(test, pair(0.8, 0.5)).verdict == "holds"
    assert only(test, pair(0.502, 0.5)).verdict == "undecided"
    assert only(test, pair(0.4, 0.5)).verdict == "does not hold"


def dropped(slope: float, name: str, seeds: int = 3, mode: str = "removed") -> list[Record]:
    return [
        run(name, seed, 0.5 + slope * n + seed * n / 1e4, drop=n, mode=mode if n else "removed")
        for n in (0, 2, 4)
        for seed in range(seeds)
    ]


def test_the_slope_is_least_squares_by_seed() -> None:
    falling = dropped(-0.02, "one") + dropped(0.0, "two")
    both = only(SLOPE, falling)
    assert both.verdict == "holds"
    assert isinstance(both.found, Estimate) and both.found.value == pytest.approx(-0.02)
    alone = only(SLOPE | {"of": "mim"}, falling)
    assert alone.verdict == "holds"
    assert isinstance(alone.found, Estimate) and alone.found.value == pytest.approx(-0.0199)
    assert only(SLOPE, dropped(0.0, "one") + dropped(-0.02, "two")).verdict == "does not hold"


def test_each_mode_of_dropping_has_its_own_runs_and_shares_the_whole_encoder() -> None:
    records = dropped(-0.02, "one") + dropped(0.0, "two")
    again = [*dropped(0.03, "one", mode="reinitialised"), *dropped(0, "two", mode="reinitialised")]
    records += [record for record in again if record.recipe["backbone"]["drop_last"]]
    assert only(SLOPE, records).verdict == "holds"
    assert only(SLOPE | {"mode": "reinitialised"}, records).verdict == "does not hold"


def test_a_missing_number_of_blocks_is_asked_for() -> None:
    records = dropped(-0.02, "one") + dropped(0.0, "two")
    short = [record for record in records if record.recipe["backbone"]["drop_last"] != 4]
    found = only(SLOPE, short).found
    assert isinstance(found, Missing) and found.why.startswith("4 blocks removed: no finished run")
    assert "for n in 0 2 4; do" in found.command
    assert "--set backbone.drop_last=$n; done; done; done" in found.command
    redone = only(SLOPE | {"mode": "reinitialised"}, short).found
    assert isinstance(redone, Missing)
    assert "--set backbone.drop_mode=reinitialised" in redone.command


def sets(*coverage: float | None) -> list[dict[str, Any]]:
    return [
        {"name": f"s{i}", "dataset": "microworld", "where": [f"data.labels=s{i}"], "coverage": each}
        for i, each in enumerate(coverage)
    ]


def of_sets(gains: list[float]) -> list[Record]:
    return [
        record
        for i, value in enumerate(gains)
        for record in pair(0.5 + value, 0.5, labels=f"s{i}", task="classification")
    ]


def test_wins_are_a_sign_test_over_sets() -> None:
    six = sets(0, 0, 0, 0, 0, 0)
    found = only(WINS, of_sets([0.1] * 6), sets=six)
    assert found.verdict == "holds"
    expected = stats.binomtest(6, 6).proportion_ci(method="exact")
    assert isinstance(found.found, Estimate)
    assert (found.found.value, found.found.high) == (1, 1)
    assert found.found.low == pytest.approx(expected.low)
    mixed = only(WINS, of_sets([0.1, 0.1, -0.1, 0.1, 0.1, 0.1]), sets=six)
    expected = stats.binomtest(5, 6).proportion_ci(method="exact")
    assert mixed.verdict == "undecided"
    assert isinstance(mixed.found, Estimate)
    assert (mixed.found.low, mixed.found.high) == pytest.approx((expected.low, expected.high))
    assert only(WINS, of_sets([-0.1] * 6), sets=six).verdict == "does not hold"


def test_only_sets_whose_coverage_was_written_down_count() -> None:
    found = only(WINS, of_sets([0.1, -0.1, -0.1, 0.1]), sets=sets(0, 1, None, 0.2))
    assert isinstance(found.found, Estimate)
    assert found.found.note == "2 of 2 sets (s0, s3); fewer than 6 cannot decide"
    nothing = only(WINS, [], sets=sets(None, 1)).found
    assert nothing == Missing("no set counts as not covered; without a `coverage` in the file: s0")


def test_sets_without_runs_are_named_with_commands() -> None:
    found = only(WINS, of_sets([0.1]), sets=sets(0, 0))
    assert found.verdict == "undecided"
    assert isinstance(found.found, Estimate) and found.found.value == 1
    assert "--set data.labels=s1" in found.found.command
    assert shlex.split(found.found.command)[0] == "for"


def test_a_protocol_that_a_test_names_is_not_overridden() -> None:
    records = pair(0.8, 0.5) + pair(0.1, 0.9, protocol="frozen", n=201)
    assert only(GAIN | {"protocol": "finetune"}, records).verdict == "holds"
    frozen = Filters(protocol="frozen")
    assert only(GAIN | {"protocol": "finetune"}, records, filters=frozen).verdict == "holds"
    assert only(GAIN, records, filters=frozen).verdict == "does not hold"


def test_a_study_is_named_where_it_is_about_these_encoders() -> None:
    test = GAIN | {"study": "studies/pose_objectives.yaml"}
    shipped: dict[Role, str] = {"mim": "simmim", "supervised": "supervised"}
    (judged,) = judge(claims(test), evidence(names=shipped))
    assert judged.tests[0].found.command == "harness study studies/pose_objectives.yaml"
    assert only(test, []).found.command.startswith("for b in one two;")


def test_folder_of_the_runs_is_part_of_the_command(tmp_path: Path) -> None:
    (judged,) = judge(claims(GAIN), evidence(output=tmp_path))
    found = judged.tests[0].found
    assert f"--output {tmp_path}" in found.command
