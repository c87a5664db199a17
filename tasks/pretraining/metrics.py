"""From the errors of the samples to figures: the masked L1 and its share of the cheap fillers'."""

from __future__ import annotations

import numpy as np

from tasks.contract import Evaluation, Metric, Row
from tasks.rows import in_order

FILLERS = ("visible_mean", "interpolation")


def evaluate(rows: list[Row], count: int) -> Evaluation:
    """Score the rows of `count` samples.

    `masked L1` is the mean over samples of the mean absolute error over a sample's hidden pixels,
    in the space of the target. `masked L1 / filler` is the quotient of two such means; its error
    is that of a ratio of paired means (delta method).

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    ordered = in_order(rows, count)
    columns = {name: [float(row[name]) for row in ordered] for name in ("sample", "l1", *FILLERS)}
    l1 = np.array(columns["l1"])
    metrics = {"masked L1": Metric(float(l1.mean()), _standard_error(l1), count, "lower")}
    for name in FILLERS:
        metrics[f"masked L1 / {name}"] = ratio(columns["l1"], columns[name])
    return Evaluation("masked L1", metrics, columns, "tasks.pretraining 1")


def ratio(errors: list[float], filler: list[float]) -> Metric:
    """The mean of `errors` as a share of that of `filler`, paired by sample; less is better."""
    above, below = np.array(errors), np.array(filler)
    value = float(above.mean() / below.mean())
    error = _standard_error((above - value * below) / below.mean())
    return Metric(value, error, len(errors), "lower")


def _standard_error(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    if len(values) < 2:
        return None
    return float(values.std(ddof=1) / np.sqrt(len(values)))
