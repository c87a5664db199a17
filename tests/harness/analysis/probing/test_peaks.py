"""Where the peak lies, and how sure that is."""

from __future__ import annotations

import numpy as np

from harness.analysis.probing.peaks import peak


def test_a_block_that_is_always_best_leaves_no_doubt() -> None:
    scores = np.random.default_rng(0).random((40, 4))
    scores[:, 2] += 2
    found = peak(scores, 0)
    assert found == (2, 0.75, 0.75, 0.75, 0.0)
    assert peak(-scores, 0, lower=True) == found


def test_equal_blocks_are_told_apart_by_nobody() -> None:
    scores = np.random.default_rng(1).normal(size=(50, 5))
    found = peak(scores, 0)
    assert found.low == 0.2 or found.high == 1.0
    assert found.high - found.low >= 0.4
    assert found.error > 0.1
    same = np.tile(scores[:, :1], 3)
    assert peak(same, 0)[:2] == (0, 1 / 3), "of equal ones the first"


def test_the_bootstrap_draws_samples_and_not_scores() -> None:
    """Scores that differ by a constant in every sample differ in every resample."""
    base = np.random.default_rng(2).normal(size=(30, 1))
    assert peak(np.concatenate([base, base + 1e-6], 1), 0).low == 1.0


def test_the_seed_decides() -> None:
    scores = np.random.default_rng(3).normal(size=(25, 6))
    assert peak(scores, 4) == peak(scores, 4)
