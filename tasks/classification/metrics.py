"""From scores to top-1 accuracy, mean per-class accuracy and 11-point mean average precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import DataError, Evaluation, Metric, Row
from tasks.rows import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tasks.classification.datasets.contract import Figure

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

EVALUATOR = "tasks.classification 1"
RESAMPLES = 200
_RESAMPLING_SEED = 20070
_LEVELS = np.linspace(0, 1, 11)


def evaluate(
    rows: list[Row],
    labels: Ints,
    classes: int,
    figure: Figure,
    groups: Mapping[str, list[int]],
) -> Evaluation:
    """Score one row a sample: `classes` (K,) numbers by falling score, `scores` (K,).

    `accuracy` and `top5` are shares of samples; `mean_per_class` is the mean over the classes of
    the test split of the share of theirs that is found; `accuracy NAME` that over the samples whose
    class is of a group, where there are some. Standard errors are over samples. For labels (N,C):
    `map11`, see `map11`.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    ordered = in_order(rows, len(labels))
    if figure == "map11":
        return _multi_label(ordered, labels, classes)
    named = np.array([row["classes"][:5] for row in ordered], np.int64)
    correct = (named[:, 0] == labels).astype(float)
    shares = per_class_shares(correct, labels)
    metrics = {"accuracy": mean(correct), "mean_per_class": mean(shares)}
    if classes > 5:
        metrics["top5"] = mean((named == labels[:, None]).any(1).astype(float))
    for name, members in groups.items():
        if (of_group := np.isin(labels, members)).any():
            metrics[f"accuracy {name}"] = mean(correct[of_group])
    scores = correct if figure == "accuracy" else shares
    columns = {"sample": np.arange(len(labels), dtype=float).tolist(), figure: scores.tolist()}
    if figure != "accuracy":
        columns["correct"] = correct.tolist()
    return Evaluation(figure, metrics, columns, EVALUATOR)


def mean(scores: Floats) -> Metric:
    """The mean with its standard error; the error is None for fewer than two samples."""
    count = len(scores)
    error = float(scores.std(ddof=1) / np.sqrt(count)) if count > 1 else None
    return Metric(float(scores.mean()), error, count)


def per_class_shares(correct: Floats, labels: Ints) -> Floats:
    """(N,) what each sample adds to the mean per-class accuracy, times N: their mean is the figure.

    Classes without a sample do not count.
    """
    there, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    shares: Floats = correct * len(labels) / (len(there) * sizes[place])
    return shares


def average_precision(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """VOC 2007's: the mean over recalls 0, .1, ..., 1 of the largest precision at that recall or a
    higher one (Everingham et al. 2010, section 4.2).

    As Kornblith et al.'s protocol computes it (ssl-transfer, linear.py): equal scores are one point
    of the curve, and at recall 0 the precision is 1, which the devkit does not have. A class
    without positives gets 1/11.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(positive[order])[ends]
    precision = np.append(found / (ends + 1), 1.0)
    recall = np.append(found / found[-1] if found[-1] else np.ones(len(ends)), 0.0)
    return float(sum(precision[recall >= level].max() for level in _LEVELS) / len(_LEVELS))


def map11(scores: Floats, labels: Ints, difficult: bool = True) -> float:
    """The mean of the classes' average precisions.

    Args:
        scores: (N,C).
        labels: (N,C): 1 shown, -1 not, 0 difficult.
        difficult: count difficult ones as not shown, as ssl-transfer does; else leave them out.
    """
    return float(np.mean(average_precisions(scores, labels, difficult)))


def average_precisions(scores: Floats, labels: Ints, difficult: bool = True) -> list[float]:
    """Each class's average precision; arguments as `map11` has them."""
    each = []
    for column in range(labels.shape[1]):
        counts = np.ones(len(labels), bool) if difficult else labels[:, column] != 0
        each.append(average_precision(scores[counts, column], labels[counts, column] == 1))
    return each


def resamples(count: int) -> Ints:
    """(RESAMPLES,count) samples drawn with replacement: the same ones for everybody."""
    return np.random.default_rng(_RESAMPLING_SEED).integers(count, size=(RESAMPLES, count))


def _multi_label(ordered: list[Row], labels: Ints, classes: int) -> Evaluation:
    scores = matrix(ordered, classes)
    count = len(labels)
    resampled = [map11(scores[drawn], labels[drawn]) for drawn in resamples(count)]
    metrics = {
        "map11": Metric(map11(scores, labels), float(np.std(resampled, ddof=1)), count),
        "map11 without difficult": Metric(map11(scores, labels, False), None, count),
    }
    columns = {"sample": [float(number) for number in range(count)]}
    return Evaluation("map11", metrics, columns, EVALUATOR, resampled)


def matrix(ordered: list[Row], classes: int) -> Floats:
    """(N,C) scores of rows that hold all classes.

    Raises:
        DataError: they do not.
    """
    if any(len(row["classes"]) != classes for row in ordered):
        raise DataError(f"predictions must hold the scores of all {classes} classes")
    found = np.empty((len(ordered), classes))
    for number, row in enumerate(ordered):
        found[number, row["classes"]] = row["scores"]
    return found
