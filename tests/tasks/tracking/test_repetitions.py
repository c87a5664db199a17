"""Runs counted together are what pooling their frames gives."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.contract import Evaluation, Metric
from tasks.tracking.repetitions import pooled


def evaluation(overlaps: list[np.ndarray], draws: list[np.ndarray]) -> Evaluation:
    """As GOT-10k's convention has it: overlaps of all frames pooled."""

    def figure(chosen: list[np.ndarray]) -> float:
        return float(np.concatenate(chosen).mean())

    drawn = [figure([overlaps[i] for i in draw]) for draw in draws]
    metrics = {"AO": Metric(figure(overlaps), float(np.std(drawn)), len(overlaps))}
    per_sample = {"sample": [0.0, 1.0, 2.0], "AO": [float(part.mean()) for part in overlaps]}
    return Evaluation("AO", metrics, per_sample, "frames", drawn)


def test_the_mean_of_runs_is_the_figure_of_all_their_frames() -> None:
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, 3, 3) for _ in range(50)]
    runs = [[rng.random(count) for count in (5, 60, 9)] for _ in range(3)]
    found = pooled([evaluation(run, draws) for run in runs])
    whole = evaluation([np.concatenate(parts) for parts in zip(*runs, strict=True)], draws)
    assert found.metrics["AO"].value == pytest.approx(whole.metrics["AO"].value, abs=1e-12)
    assert found.resampled == pytest.approx(whole.resampled, abs=1e-12)
    assert found.per_sample["AO"] == pytest.approx(whole.per_sample["AO"], abs=1e-12)
    assert found.per_sample["sample"] == [0, 1, 2]
    error, exact = found.metrics["AO"].error, whole.metrics["AO"].error
    assert error is not None and exact is not None and error >= exact
    assert (found.metrics["AO"].n, found.evaluator) == (3, "frames, mean of 3 runs")


def test_what_some_runs_lack_is_the_mean_of_the_others() -> None:
    metrics = [{"AO": Metric(0.5, None, 2)}, {"AO": Metric(0.7, 0.1, 2), "loss": Metric(4, 1, 1)}]
    found = pooled([Evaluation("AO", figures, {"sample": [0.0]}, "x") for figures in metrics])
    assert found.metrics["AO"].value == pytest.approx(0.6)
    assert found.metrics["AO"].error is None
    assert found.metrics["loss"] == Metric(4, 1, 1)
    assert found.resampled is None
