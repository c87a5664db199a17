"""Intervals cover what they say, comparisons are paired, and refuse what is not comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from results import Record, ResultsError
from results.compare import compare, within_chance
from results.statistics import interval
from tests.results.records import make

REPEATS = 4000
ROOM = 4 * (0.95 * 0.05 / REPEATS) ** 0.5
"""Four standard deviations of a share of 0.95 among so many repeats: 0.014."""


@pytest.mark.parametrize(
    ("seeds", "between", "sampling"),
    [(3, 1.0, 0.0), (3, 1.0, 1.0), (3, 0.5, 1.0), (3, 0.1, 1.0), (5, 1.0, 0.3), (5, 0.0, 1.0)],
)
def test_intervals_cover_95_percent(seeds: int, between: float, sampling: float) -> None:
    """Truth 0; one sampling error shared by all seeds of a draw, as with one test set. Where both
    components count, the interval errs on the wide side."""
    rng = np.random.default_rng(7)
    n, covered = 200, 0
    for _ in range(REPEATS):
        error = sampling * np.sqrt(rng.chisquare(n - 1) / (n - 1))
        values = rng.normal(0, sampling) + rng.normal(0, between, seeds)
        covered += not interval(values.tolist(), [error] * seeds, [n] * seeds).excludes(0.0)
    assert 0.95 - ROOM < covered / REPEATS < 0.975 + ROOM


def test_the_worst_ratio_at_three_seeds_still_covers_95_percent() -> None:
    """Where a small known part meets few seeds, Satterthwaite's rule covers 92 %."""
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(REPEATS):
        values = rng.normal(0, 0.3) + rng.normal(0, 1, 3)
        covered += not interval(values.tolist(), [0.3] * 3, [200] * 3).excludes(0.0)
    assert 0.95 - ROOM < covered / REPEATS < 0.975


def test_one_component_alone_is_the_textbook_t() -> None:
    values = [0.31, 0.27, 0.36]
    found = interval(values, [None] * 3, [50] * 3)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.knows == ("seeds",)
    alone = interval([0.3], [0.02], [41])
    low, high = stats.t.interval(0.95, 40, 0.3, 0.02)
    assert (alone.low, alone.high) == (pytest.approx(low), pytest.approx(high))
    assert "only the sampling error" in alone.note


def test_more_seeds_do_not_shrink_the_sampling_error() -> None:
    one = interval([0.3], [0.02], [400])
    many = interval([0.3] * 20, [0.02] * 20, [400] * 20)
    assert one.low is not None
    assert many.low == pytest.approx(one.low)
    assert many.note == ""


def test_what_is_not_known_is_not_given() -> None:
    nothing = interval([0.3], [None], [10])
    assert (nothing.low, nothing.high, nothing.excludes(5.0)) == (None, None, False)
    assert "nothing is known" in nothing.note
    with pytest.raises(ValueError, match="at least one"):
        interval([], [], [])
    with pytest.raises(ValueError, match="as many"):
        interval([0.1, 0.2], [0.1], [3])


def group(values: Sequence[float], backbone: str, **fields: object) -> list[Record]:
    return [make(backbone, seed, value, **fields) for seed, value in enumerate(values)]  # type: ignore[arg-type]


def test_a_comparison_is_paired_by_seed() -> None:
    """Seeds that move both alike do not hide a difference."""
    a = group([0.30, 0.40, 0.50], "mae", error=None)
    b = group([0.28, 0.379, 0.481], "simmim", error=None)
    found = compare(a, b[::-1])
    assert found.difference.mean == pytest.approx(0.02)
    assert found.separated
    assert found.gain > 0
    flipped = compare(b, a)
    assert flipped.difference.mean == -found.difference.mean
    assert flipped.gain < 0


def test_gain_follows_the_metric() -> None:
    a = group([0.1, 0.2, 0.3], "mae", better="lower")
    b = group([0.2, 0.3, 0.4], "simmim", better="lower")
    assert compare(a, b).gain == pytest.approx(0.1)


def test_one_seed_separates_nothing() -> None:
    found = compare(group([0.9], "mae"), group([0.1], "simmim"))
    assert found.difference.excludes(0.0)
    assert not found.separated


def test_scores_per_sample_give_the_error_of_the_mean_difference() -> None:
    """Exact where the metric is the mean of the scores, and far narrower than unpaired."""
    rng = np.random.default_rng(3)
    n = 300
    hard = rng.normal(0.5, 0.2, n)
    columns = {"mae": hard + rng.normal(0.01, 0.02, n), "simmim": hard + rng.normal(0, 0.02, n)}

    def record(name: str) -> Record:
        scores = columns[name]
        return make(name, 0, float(scores.mean()), float(stats.sem(scores)), n=n)

    def scores(record: Record) -> Mapping[str, Sequence[float]]:
        name = record.backbone["name"]
        return {"sample": list(range(n)), "AP": columns[name].tolist()}

    found = compare([record("mae")], [record("simmim")], scores)
    difference = columns["mae"] - columns["simmim"]
    low, high = stats.t.interval(0.95, n - 1, difference.mean(), stats.sem(difference))
    assert not found.unpaired
    assert (found.difference.low, found.difference.high) == (
        pytest.approx(low, abs=1e-12),
        pytest.approx(high, abs=1e-12),
    )
    unpaired = compare([record("mae")], [record("simmim")])
    assert unpaired.unpaired == "their scores are not at hand"
    assert unpaired.difference.low is not None
    assert unpaired.difference.low < low - 0.01

    with pytest.raises(ResultsError, match="same samples"):
        compare(
            [record("mae")],
            [record("simmim")],
            lambda r: {"sample": [hash(r.cell)], "AP": [0.1]},
        )


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ([make("mae", 0, steps=50)], r"recipe\.train\.steps: 100, 50"),
        ([make("mae", 0, task="depth")], "task: "),
        ([make("mae", 0, dataset="coco")], "dataset: "),
        ([make("mae", 0, scale="paper")], "scale: "),
        ([make("mae", 1)], r"`simmim` has the seeds \[0\], `mae` \[1\]"),
        ([make("mae", 0, status="failed")], "failed"),
        ([make("mae", 0), make("dino", 1)], "mixes"),
        ([make("mae", 0), make("mae", 0)], "several records"),
        ([], "no records"),
    ],
)
def test_what_differs_is_listed(other: list[Record], says: str) -> None:
    with pytest.raises(ResultsError, match=says) as caught:
        compare([make("simmim", 0)], other)
    assert "\n" not in str(caught.value)


def test_what_was_told_of_a_file_is_no_difference_of_recipes() -> None:
    """A file that does not tell its heads is compared with one that does."""
    silent = make("mae", 0)
    silent = silent.model_copy(update={"identity": silent.identity | {"told": {"num_heads": 3}}})
    assert compare([make("simmim", 0)], [silent]).seeds == (0,)


CONSTANT = [0.08, 0.08, 0.08]
TRAINED = [0.30, 0.31, 0.29]


@pytest.mark.parametrize(
    ("permuted", "error", "within"),
    [
        ([0.081, 0.080, 0.079], 0.0001, True),
        ([0.090, 0.101, 0.079], 0.0001, False),
        ([0.081, 0.080, 0.079], 0.02, False),
        ([0.120, 0.121, 0.119], 0.0001, False),
        ([0.020, 0.021, 0.019], 0.0001, True),
    ],
)
def test_within_chance(permuted: list[float], error: float, within: bool) -> None:
    def measured(values: list[float], control: str | None) -> list[Record]:
        return group(values, "simmim", control=control, error=error)

    trained = measured(TRAINED, None)
    found = within_chance(
        measured(permuted, "permuted-labels"), measured(CONSTANT, "constant"), trained
    )
    assert found.within is within
    assert found.limit == pytest.approx(0.1 * 0.22)


def test_within_chance_of_an_error_metric() -> None:
    def measured(values: list[float], control: str | None) -> list[Record]:
        return group(values, "simmim", control=control, error=0.0001, better="lower")

    constant, trained = measured([1.0, 1.0, 1.0], "constant"), measured([0.5, 0.51, 0.49], None)
    worse = measured([1.2, 1.21, 1.19], "permuted-labels")
    better = measured([0.8, 0.81, 0.79], "permuted-labels")
    assert within_chance(worse, constant, trained).within
    assert not within_chance(better, constant, trained).within


def test_nothing_is_within_chance_of_a_network_that_learned_nothing() -> None:
    constant = group(CONSTANT, "simmim", control="constant", error=0.0)
    trained = group([0.05, 0.05, 0.05], "simmim", error=0.0)
    permuted = group([0.0, 0.0, 0.0], "simmim", control="permuted-labels", error=0.0)
    assert not within_chance(permuted, constant, trained).within
