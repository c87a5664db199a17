"""Where recall reaches a level, as float64 has it."""

import numpy as np

from tasks.scoring.curves import RECALLS, needed_hits


def test_true_positives_needed_for_a_recall() -> None:
    counts = np.array([*range(1, 1200), 4999, 5000, 11004, 36781, 123457])
    for count, needed in zip(counts.tolist(), needed_hits(counts), strict=True):
        recall = np.arange(1, count + 1) / count
        first = np.searchsorted(recall, RECALLS, side="left") + 1
        assert (needed == first).all(), count
