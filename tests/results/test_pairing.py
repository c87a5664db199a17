"""What seeds share of their sampling error: from scores, as the textbook's mean squares have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from results import Record, ResultsError
from results.compare import Comparison, compare
from results.components import Part, half_width
from tests.results.records import make

SEEDS, N = 4, 150
Columns = dict[str, list[Any]]


def scores(seed: int = 0, binary: bool = False) -> NDArray[np.float64]:
    """(2, S, N): images hard for all, or that suit one encoder, a shift a seed, and chance."""
    rng = np.random.default_rng(seed)
    hard, shift = rng.normal(0.5, 0.2, N), rng.normal(0, 0.03, (2, SEEDS, 1))
    liking, chance = rng.normal(0, 0.2, (2, 1, N)), rng.normal(0, 0.2, (2, SEEDS, N))
    found = hard + liking + shift + chance + np.array([0.02, 0])[:, None, None]
    return (found > 0.5).astype(float) if binary else found


def runs(columns: NDArray[np.float64]) -> tuple[list[list[Record]], dict[str, Columns]]:
    """Records of two encoders whose metric is the mean of the columns, and these by cell."""
    groups: list[list[Record]] = []
    kept: dict[str, Columns] = {}
    for name, rows in zip(("a", "b"), columns, strict=True):
        groups.append([])
        for seed, row in enumerate(rows):
            record = make(name, seed, float(row.mean()), float(stats.sem(row)), n=len(row))
            kept[record.cell] = {"sample": list(range(len(row))), "AP": row.tolist()}
            groups[-1].append(record)
    return groups, kept


def compared(columns: NDArray[np.float64]) -> Comparison:
    (a, b), kept = runs(columns)
    return compare(a, b, lambda record: kept[record.cell])


@pytest.mark.parametrize("binary", [False, True])
def test_the_variance_is_that_of_the_crossed_mean_squares(binary: bool) -> None:
    columns = scores(binary=binary)
    d = columns[0] - columns[1]
    by_seed, by_sample, mean = d.mean(1), d.mean(0), d.mean()
    ms_seeds = N * ((by_seed - mean) ** 2).sum() / (SEEDS - 1)
    ms_samples = SEEDS * ((by_sample - mean) ** 2).sum() / (N - 1)
    residual = d - by_seed[:, None] - by_sample + mean
    ms_residual = (residual**2).sum() / ((SEEDS - 1) * (N - 1))
    assert ms_samples > ms_residual

    found = compared(columns).difference
    parts = found.parts
    assert parts["seeds"].variance == pytest.approx(ms_seeds / (SEEDS * N), rel=1e-9)
    shared = (ms_samples - ms_residual) / (SEEDS * N)
    assert parts["samples"].variance == pytest.approx(shared, rel=1e-9)
    assert (parts["seeds"].freedom, parts["samples"].freedom) == (SEEDS - 1, N - 1)
    assert found.high is not None
    assert found.high - found.mean == pytest.approx(half_width(list(parts.values())))


def test_what_seeds_do_not_share_is_not_counted_twice() -> None:
    """Chance alone: a seed's sampling error is its own, and is in the spread of the seeds."""
    columns = np.random.default_rng(1).normal(0, 1, (2, SEEDS, N))
    d = columns[0] - columns[1]
    found = compared(columns).difference.parts
    assert found["samples"].variance < 0.2 * d.var() / N
    unpaired = compare(*runs(columns)[0]).difference.parts
    assert unpaired["samples"].variance == pytest.approx(d.var() / N, rel=0.1)


def test_the_order_of_records_and_samples_is_nothing() -> None:
    (a, b), kept = runs(scores())
    plain = compare(a, b, lambda record: kept[record.cell])

    def shuffled(record: Record) -> Columns:
        order = np.random.default_rng(record.seed).permutation(N)
        return {name: [column[i] for i in order] for name, column in kept[record.cell].items()}

    other = compare(a[::-1], [b[2], b[0], b[3], b[1]], shuffled)
    assert other.difference.mean == pytest.approx(plain.difference.mean, abs=1e-15)
    assert other.difference.low == pytest.approx(plain.difference.low, abs=1e-14)
    assert other.seeds == plain.seeds


def test_resamples_stand_for_samples() -> None:
    """Of the same draws for all, they give the same components but for their number."""
    columns = scores(2)
    (a, b), kept = runs(columns)
    weights = np.random.default_rng(3).multinomial(N, np.full(N, 1 / N), 4000).T / N
    for group, rows in zip((a, b), columns @ weights, strict=True):
        for number, (record, row) in enumerate(zip(group, rows, strict=True)):
            figure = record.metrics["AP"].model_copy(update={"error": float(row.std(ddof=1))})
            group[number] = record.model_copy(update={"metrics": {"AP": figure}})
            kept[record.cell] = {"sample": list(range(len(row))), "AP": row.tolist()}
    by_draws = compare(a, b, lambda record: kept[record.cell]).difference
    by_samples = compared(columns).difference
    assert by_draws.parts["samples"].variance == pytest.approx(
        by_samples.parts["samples"].variance, rel=0.15
    )
    # The 4,000 draws know no more than the 150 samples.
    assert by_draws.parts["samples"].freedom == N - 1


def test_a_sample_without_a_score_is_left_out_for_all() -> None:
    (a, b), kept = runs(scores())
    kept[a[0].cell]["AP"][7] = float("nan")
    with_gap = compare(a, b, lambda record: kept[record.cell]).difference
    for columns in kept.values():
        columns["AP"][7] = float("nan")
    assert with_gap == compare(a, b, lambda record: kept[record.cell]).difference
    assert with_gap.parts["samples"].freedom == N - 2


def test_a_network_whose_scores_are_all_the_same_has_no_part_in_it() -> None:
    """The controls: AP 0 on every resample."""
    columns = scores()
    columns[1] = 0.1
    found = compared(columns)
    alone = columns[0]
    centred = np.cov(alone)
    shared = (centred.sum() - np.trace(centred)) / (SEEDS * (SEEDS - 1)) / N
    assert not found.unpaired
    assert found.difference.parts["samples"].variance == pytest.approx(shared, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda columns: None, r"the scores of `b` \(seed 1\) are not at hand"),
        (lambda columns: {"sample": columns["sample"], "x": [], "y": []}, "no column that stands"),
        (lambda columns: columns | {"AP": [0.5] * N}, "do not vary, though they have an error"),
        (lambda columns: columns | {"AP": [float("nan")] * N}, "fewer than two samples"),
    ],
)
def test_it_says_why_samples_are_not_paired(
    change: Callable[[Columns], Columns | None], why: str
) -> None:
    (a, b), kept = runs(scores())
    cell = b[1].cell
    found = compare(a, b, lambda r: change(kept[cell]) if r.cell == cell else kept[r.cell])
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(found.unpaired)
    assert found.difference == compare(a, b).difference


def test_without_a_sampling_error_only_the_spread_over_seeds_is_known() -> None:
    (a, b), kept = runs(scores())
    figure = a[0].metrics["AP"].model_copy(update={"error": None})
    a[0] = a[0].model_copy(update={"metrics": {"AP": figure}})
    found = compare(a, b, lambda record: kept[record.cell])
    assert found.unpaired == "not every run has a sampling error"
    assert found.difference.knows == ("seeds",)
    assert isinstance(found.difference.parts["seeds"], Part)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([*range(N - 1), N], rf"`a` \(seed 0\) has {N}, `b` \(seed 1\) has {N}, {N - 1} in common"),
        ([*range(N - 1), 0], "not of the same samples"),
    ],
)
def test_other_samples_are_refused(samples: list[int], words: str) -> None:
    (a, b), kept = runs(scores())
    kept[b[1].cell]["sample"] = samples
    with pytest.raises(ResultsError, match=words):
        compare(a, b, lambda record: kept[record.cell])


def test_two_scores_of_one_sample_are_refused() -> None:
    (a, b), kept = runs(scores())
    for columns in kept.values():
        columns["sample"] = [*range(N - 1), 0]
    with pytest.raises(ResultsError, match="several scores of one sample"):
        compare(a, b, lambda record: kept[record.cell])
