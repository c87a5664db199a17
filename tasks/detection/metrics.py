"""Predictions to figures: AP and AR of boxes and masks by class and size, and what they lose by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.contract import Evaluation, Metric, Row
from tasks.detection.annotations import Annotations, Detections
from tasks.detection.scoring.matching import RANGES
from tasks.detection.scoring.precision import Result
from tasks.detection.scoring.precision import evaluate as measure
from tasks.detection.scoring.rows import read
from tasks.detection.scoring.tide import errors, losses
from tasks.scoring.curves import Ranking, curves
from tasks.scoring.resampling import draws, standard_error

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EVALUATOR = (
    "tasks.detection 1, after pycocotools 2.0.11 (annotation id 0 never counts as found); dAP "
    "after TIDE (Bolya et al. 2020)"
)


class HasAnnotations(Protocol):
    """A data set whose images are in the order of its samples."""

    @property
    def annotations(self) -> Annotations: ...


def evaluate(rows: list[Row], dataset: HasAnnotations) -> Evaluation:
    """Score predictions, one row an image (`scoring.rows.read`).

    Figures are those of COCO's evaluator; of masks, where there are some, they begin with `mask_`.
    `AP/<class>` is that of a class, `dAP_<kind>` what AP50 of boxes loses by a kind of error
    (`scoring.tide`). Errors are standard deviations over images drawn with replacement.
    `per_sample` holds `AP`, what COCO's evaluator says of the image by itself, NaN where it has no
    object that counts.

    Raises:
        DataError: rows that are missing, doubled, of other samples or malformed; a mask is missing.
    """
    truth = dataset.annotations
    found = read(rows, truth)
    drawn = draws(len(truth.images)).astype(np.int64)
    boxes = measure(truth, found, "box")
    metrics, resampled = _figures(boxes, truth.categories, drawn)
    if len(truth.objects.masks) and (len(found.masks) or not len(found)):
        masks, _ = _figures(measure(truth, found, "mask"), truth.categories, drawn)
        metrics |= {f"mask_{name}": metric for name, metric in masks.items()}
    metrics |= _losses(truth, found, boxes, drawn)
    return Evaluation(
        primary="AP",
        metrics=metrics,
        per_sample={
            "sample": [float(n) for n in range(len(rows))],
            "AP": by_image(boxes.matching.ranking).tolist(),
        },
        evaluator=EVALUATOR,
        resampled=resampled,
    )


def _figures(
    result: Result, categories: tuple[str, ...], drawn: Ints
) -> tuple[dict[str, Metric], list[float]]:
    """COCO's figures and AP of each class, and AP on each resample."""

    def all_of(weights: Ints) -> dict[str, float]:
        scores = result.scores(weights)
        classes = zip(categories, scores.of_classes().tolist(), strict=True)
        return scores.figures() | {f"AP/{name}": value for name, value in classes}

    wanted = result.matching.ranking.wanted
    classes = np.bincount(
        result.matching.ranking.object_category[wanted[0]], minlength=len(categories)
    )
    counts = {letter: int(row.sum()) for letter, row in zip(RANGES, wanted, strict=True)}
    numbers = {f"AP/{name}": int(n) for name, n in zip(categories, classes, strict=True)}
    values, spread = all_of(np.ones(drawn.shape[1], np.int64)), _spread(all_of, drawn)
    metrics = {
        name: Metric(
            value, standard_error(spread[name]), numbers.get(name, counts.get(name[2:], counts[""]))
        )
        for name, value in values.items()
    }
    return metrics, spread["AP"].tolist()


def _losses(
    truth: Annotations, found: Detections, result: Result, drawn: Ints
) -> dict[str, Metric]:
    """What AP50 of boxes loses by each kind of error; the number behind it is that of errors."""
    wrong = errors(truth, found, "box", result.matching)
    lost = losses(truth, found, result.matching, wrong)
    counts = wrong.counts()
    values, spread = lost.at(np.ones(drawn.shape[1], np.int64)), _spread(lost.at, drawn)
    return {
        f"dAP_{name}": Metric(value, standard_error(spread[name]), counts[name], "lower")
        for name, value in values.items()
    }


def _spread(measured: Callable[[Ints], dict[str, float]], drawn: Ints) -> dict[str, Floats]:
    """Each figure on all draws."""
    found = [measured(weights) for weights in drawn]
    return {name: np.array([each[name] for each in found]) for name in found[0]}


def by_image(ranking: Ranking) -> Floats:
    """(I,) AP of each image by itself, a mean over its classes; NaN where it has no object that
    counts."""
    counting = np.flatnonzero(ranking.wanted[0])
    key = ranking.object_image * ranking.categories + ranking.object_category
    groups, of_object = np.unique(key[counting], return_inverse=True)
    mine = ranking.image * ranking.categories + ranking.category
    place = np.searchsorted(groups, mine)
    there = np.flatnonzero(np.append(groups, -1)[place] == mine)
    there = there[np.argsort(place[there], kind="stable")]
    bits = np.uint64(2**ranking.thresholds - 1)
    # Each class of each image is a class of one image.
    apart = Ranking(
        image=np.zeros_like(there),
        category=place[there],
        rank=ranking.rank[there],
        found=ranking.found[there] & bits,
        wrong=ranking.wrong[there] & bits,
        object_image=np.zeros_like(counting),
        object_category=of_object,
        wanted=np.ones((1, len(counting)), bool),
        thresholds=ranking.thresholds,
        images=1,
        categories=len(groups),
    )
    precision = curves(apart).precision(np.ones(1, np.int64))[..., 0].mean(axis=(0, 1))
    image = groups // ranking.categories
    total = np.bincount(image, precision, ranking.images)
    count = np.bincount(image, minlength=ranking.images)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
