"""From the errors of the samples to figures: the masked L1 and its share of the cheap fillers'."""

from __future__ import annotations

import numpy as np

from tasks.contract import DataError, Evaluation, Metric, Row

FILLERS = ("visible_mean", "interpolation")


def evaluate(rows: list[Row], count: int) -> Evaluation:
    """Score the rows of `count` samples.

    `masked L1` is the mean over samples of the mean absolute error over a sample's hidden pixels,
    in the space of the target. `masked L1 / filler` is the quotient of two such means; its error
    is that of a ratio of paired means (delta method).

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    ordered = _in_order(rows, count)
    columns = {
        name: np.array([row[name] for row in ordered], dtype=np.float64)
        for name in ("l1", *FILLERS)
    }
    l1 = columns["l1"]
    metrics = {"masked L1": Metric(float(l1.mean()), _standard_error(l1), count, "lower")}
    for name in FILLERS:
        filler = columns[name]
        ratio = float(l1.mean() / filler.mean())
        error = _standard_error((l1 - ratio * filler) / filler.mean())
        metrics[f"masked L1 / {name}"] = Metric(ratio, error, count, "lower")
    per_sample = {"sample": [float(row["sample"]) for row in ordered]}
    per_sample |= {name: values.tolist() for name, values in columns.items()}
    return Evaluation("masked L1", metrics, per_sample, "tasks.pretraining 1")


def _in_order(rows: list[Row], count: int) -> list[Row]:
    found = {row["sample"]: row for row in rows}
    if len(found) != len(rows):
        raise DataError(f"{len(rows) - len(found)} of {len(rows)} predictions are doubled")
    missing = sorted(set(range(count)) - set(found))
    if missing:
        raise DataError(f"{len(missing)} of {count} samples have no prediction: {missing[:5]} ...")
    if len(found) != count:
        raise DataError(f"{len(found) - count} predictions are of samples that do not exist")
    return [found[k] for k in range(count)]


def _standard_error(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    if len(values) < 2:
        return None
    return float(values.std(ddof=1) / np.sqrt(len(values)))
