"""Slopes: closed forms, pairing by seed and sample, refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from results import Record, ResultsError
from results.pairing import Columns
from results.slopes import difference, slope, weights
from results.statistics import interval

N = 50
APART = ("recipe.drop",)


class Runs:
    """Records whose figure is the mean of scores by sample, and those scores."""

    def __init__(self) -> None:
        self.values: dict[str, np.ndarray[Any, Any]] = {}

    def record(self, at: float, seed: int, scores: np.ndarray[Any, Any], **other: Any) -> Record:
        cell = f"{len(self.values):064d}"
        self.values[cell] = scores
        error = float(scores.std(ddof=1) / np.sqrt(len(scores)))
        figure = {"value": float(scores.mean()), "error": error, "n": len(scores)}
        values = {
            "status": "finished",
            "primary": "OKS",
            "metrics": {"OKS": figure},
            "cell": cell,
            "identity": {"seed": seed, "recipe": {"drop": at, **other}},
            "task": "pose",
            "backbone": {"name": "b", "sha256": "0" * 64},
            "dataset": "microworld",
            "protocol": "frozen",
            "scale": "tiny",
            "seed": seed,
            "recipe": {},
            "created": "2026-01-01T00:00:00+00:00",
            "updated": "2026-01-01T00:00:00+00:00",
        }
        return Record.model_validate(values)

    def scores(self, record: Record) -> Columns:
        return {"sample": list(range(N)), "OKS": self.values[record.cell].tolist()}

    def line(
        self, draws: Mapping[float, Sequence[np.ndarray[Any, Any]]], **other: Any
    ) -> dict[float, list[Record]]:
        return {
            at: [self.record(at, seed, scores, **other) for seed, scores in enumerate(several)]
            for at, several in draws.items()
        }


def drawn(seed: int, seeds: int = 3) -> dict[float, list[np.ndarray[Any, Any]]]:
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=N)
    return {
        float(at): [0.5 - 0.1 * at + hard + rng.normal(size=N) * 0.2 for _ in range(seeds)]
        for at in (0, 1, 2, 4)
    }


def test_weights_are_those_of_least_squares() -> None:
    settings = [0.0, 1.0, 2.0, 4.0]
    y = np.random.default_rng(0).random(4)
    assert np.dot(weights(settings), y) == pytest.approx(np.polyfit(settings, y, 1)[0])


def test_a_straight_line_has_its_slope_and_no_error() -> None:
    """What is hard for all runs alike does not blur a slope."""
    hard = np.random.default_rng(0).normal(size=N)
    runs = Runs()
    line = runs.line({float(at): [hard - 0.25 * at] * 2 for at in (0, 1, 2, 4)})
    found = slope(line, runs.scores, APART).value
    assert found.mean == pytest.approx(-0.25)
    assert found.low == pytest.approx(-0.25) and found.high == pytest.approx(-0.25)
    alone = slope(line, None, APART)
    assert alone.value.high is not None and alone.value.high > -0.2
    assert alone.unpaired


def test_the_interval_is_that_of_the_slopes_of_single_samples() -> None:
    """Where the figure is a mean over samples, a slope is the mean of the samples' own slopes: the
    interval must be that of their table of seeds and samples."""
    runs, draws = Runs(), drawn(1)
    found = slope(runs.line(draws), runs.scores, APART).value
    own = np.stack(
        [np.polyfit(list(draws), [draws[at][s] for at in draws], 1)[0] for s in range(3)]
    )
    covariance = np.cov(own) / N
    shared = (covariance.sum() - np.trace(covariance)) / 6
    expected = interval(
        own.mean(1).tolist(), np.sqrt(np.diag(covariance)).tolist(), [N] * 3, float(shared)
    )
    assert found.mean == pytest.approx(expected.mean)
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)
    assert found.knows == ("seeds", "samples")


def test_the_difference_of_slopes_is_paired() -> None:
    runs, draws = Runs(), drawn(2)
    one = runs.line(draws)
    steeper = runs.line({at: [y - 0.3 * at for y in several] for at, several in draws.items()})
    found = difference(steeper, one, runs.scores, APART).value
    assert found.mean == pytest.approx(-0.3)
    assert found.high is not None and found.low is not None
    assert found.high - found.low < 1e-6, "seeds and samples cancel"
    same = difference(one, one, runs.scores, APART).value
    assert (same.mean, same.low, same.high) == pytest.approx((0, 0, 0), abs=1e-7)


def test_one_seed_knows_samples_alone() -> None:
    runs = Runs()
    found = slope(runs.line(drawn(3, seeds=1)), runs.scores, APART).value
    assert found.knows == ("samples",) and "one seed" in found.note


def test_what_does_not_go_together_is_refused() -> None:
    runs = Runs()
    line = runs.line(drawn(4))
    with pytest.raises(ResultsError, match=r"recipe\.drop"):
        slope(line, runs.scores)
    with pytest.raises(ResultsError, match="needs two settings, there is 2"):
        slope({2.0: line[2.0]}, runs.scores, APART)
    with pytest.raises(ResultsError, match="run the missing ones"):
        slope({**line, 2.0: line[2.0][:2]}, runs.scores, APART)
    with pytest.raises(ResultsError, match="one line is at 0, 1, 2, 4, the other at 0, 4"):
        difference(line, {at: line[at] for at in (0.0, 4.0)}, runs.scores, APART)
    other = runs.line(drawn(4), steps=7)
    with pytest.raises(ResultsError, match=r"recipe\.steps"):
        difference(line, other, runs.scores, APART)
