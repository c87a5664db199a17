"""Predictions to figures: scores of people, those too alike, AP and AR, errors, similarities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataError, Evaluation, Metric, Row
from tasks.pose.matching import (
    Detections,
    Floats,
    Ints,
    Truth,
    bounding_areas,
    match,
    similarity,
)
from tasks.pose.precision import figures
from tasks.scoring.resampling import draws, standard_error

if TYPE_CHECKING:
    from tasks.pose.data import PoseDataset

COCO_RANGES = {"": (0.0, 1e10), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e10)}
CROWD_CLASSES = {"easy": (-np.inf, 0.2), "medium": (0.2, 0.8), "hard": (0.8, np.inf)}
"""Crowd index from (included) to (excluded), after CrowdPose (Li et al. 2019)."""

EVALUATORS = {
    "coco": "tasks.pose 1, after pycocotools 2.0.11",
    "crowdpose": "tasks.pose 1, after the CrowdPose API (annotation id 0 never counts as found)",
}


def evaluate(rows: list[Row], dataset: PoseDataset) -> Evaluation:
    """Score predictions, one a sample.

    A person's score is that of its box times the mean score of its joints above the recipe's
    threshold; of two people more alike than `nms_oks` the better stays (mmpose coco_metric.py).
    `per_sample` holds `oks`: the similarity of each prediction with its own person, NaN for a
    detector's box.

    Raises:
        DataError: rows that do not cover every sample exactly once.
    """
    rows = _one_each(rows, len(dataset), len(dataset.skeleton))
    settings, samples = dataset.recipe.test, dataset.samples
    sigmas = np.array(dataset.skeleton.sigmas)
    place, truth = _places(dataset), annotated_people(dataset)
    joints = np.array([row["keypoints"] for row in rows], dtype=float)
    joints = joints.reshape(len(rows), len(sigmas), 3)
    points = joints[..., :2]
    scores = person_scores(
        joints[..., 2], np.array([row["box_score"] for row in rows]), settings.joint_threshold
    )
    detections = Detections(place[samples.image], points, scores, bounding_areas(points))
    areas = np.array([row["area"] for row in rows])
    kept = distinct(detections, areas, sigmas, settings.nms_oks)
    crowd_index = None
    if dataset.recipe.data.name == "crowdpose":
        crowd_index = dataset.images.crowd_index[np.argsort(place)]
    metrics, resampled = score(truth, detections.take(kept), sigmas, len(place), crowd_index)
    own = _own_similarity(dataset, truth, points, sigmas)
    counted = own[~np.isnan(own)]
    if len(counted):
        error = float(counted.std(ddof=1) / np.sqrt(len(counted))) if len(counted) > 1 else None
        metrics["OKS"] = Metric(float(counted.mean()), error, len(counted))
    return Evaluation(
        primary="AP",
        metrics=metrics,
        per_sample={"sample": [float(i) for i in range(len(rows))], "oks": own.tolist()},
        evaluator=EVALUATORS["coco" if crowd_index is None else "crowdpose"],
        resampled=resampled,
    )


def annotated_people(dataset: PoseDataset) -> Truth:
    """The people that predictions are measured against."""
    people = dataset.truth
    return Truth(
        _places(dataset)[people.image],
        people.ids,
        people.boxes,
        people.keypoints,
        people.areas,
        people.crowd | (people.labelled == 0),
        people.crowd,
    )


def score(
    truth: Truth,
    detections: Detections,
    sigmas: Floats,
    images: int,
    crowd_index: Floats | None = None,
) -> tuple[dict[str, Metric], list[float]]:
    """COCO's ten figures, or with the crowd index (I,) of the images CrowdPose's nine; and AP on
    each resample.

    Errors are standard deviations over images drawn with replacement.
    """
    ranges = {"": COCO_RANGES[""]} if crowd_index is not None else COCO_RANGES
    areas = {letter: number for number, letter in enumerate(ranges)}
    outcomes = match(truth, detections, sigmas, list(ranges.values()), images)
    whole = np.ones((1, images))
    drawn = draws(images)
    values = {name: float(v[0]) for name, v in figures(outcomes, areas, whole).items()}
    spread = figures(outcomes, areas, drawn)
    counts = {letter: int(outcomes.wanted[number].sum()) for letter, number in areas.items()}
    metrics = {
        name: Metric(value, standard_error(spread[name]), counts.get(name[2:], counts[""]))
        for name, value in values.items()
    }
    if crowd_index is not None:
        for name, (low, high) in CROWD_CLASSES.items():
            inside = ((crowd_index >= low) & (crowd_index < high)).astype(float)
            value = float(figures(outcomes, areas, whole * inside)["AP"][0])
            error = standard_error(figures(outcomes, areas, drawn * inside)["AP"])
            count = int(inside[truth.image[outcomes.wanted[0]]].sum())
            # The reference rounds these three.
            metrics[f"AP_{name}"] = Metric(round(value, 4), error, count)
    return metrics, spread["AP"].tolist()


def person_scores(joints: Floats, boxes: Floats, threshold: float) -> Floats:
    """(N,) box score times the mean of the joint scores (N, K) above `threshold`, 0 for none."""
    above = joints > threshold
    total = np.where(above, joints, 0.0).sum(axis=1)
    found: Floats = boxes * total / np.maximum(above.sum(axis=1), 1)
    return found


def distinct(detections: Detections, areas: Floats, sigmas: Floats, limit: float) -> Ints:
    """Rows of the people that stay: of two in one image that are more alike than `limit`, the
    worse goes (OKS-NMS; similarity over all joints at the mean of both areas)."""
    order = np.lexsort((-detections.scores, detections.image))
    gone = np.zeros(len(order), dtype=bool)
    image = detections.image[order]
    variances = (sigmas * 2) ** 2
    last = np.searchsorted(image, image, side="right")
    for first in np.flatnonzero(last - np.arange(len(order)) > 1).tolist():
        if gone[first]:
            continue
        one, others = order[first], order[first + 1 : last[first]]
        shift = detections.keypoints[others] - detections.keypoints[one]
        scale = (areas[others] + areas[one]) / 2 + np.spacing(1)
        alike = np.exp(-(shift**2).sum(-1) / variances / scale[:, None] / 2).mean(axis=1)
        # mmpose compares in float32.
        gone[first + 1 : last[first]] |= alike.astype(np.float32) > np.float32(limit)
    kept: NDArray[np.int64] = order[~gone]
    return kept


def _places(dataset: PoseDataset) -> Ints:
    """(I,) the place of each image: as in the reference, they come in the order of their ids."""
    found: Ints = np.argsort(np.argsort(dataset.images.ids, kind="stable"), kind="stable")
    return found


def _one_each(rows: list[Row], count: int, joints: int) -> list[Row]:
    """The rows by sample.

    Raises:
        DataError: what is missing, doubled or foreign.
    """
    seen = np.array([row["sample"] for row in rows], dtype=np.int64)
    foreign = seen[(seen < 0) | (seen >= count)]
    if len(foreign):
        raise DataError(f"there is a prediction for sample {foreign[0]}, of {count} samples")
    times = np.bincount(seen, minlength=count)
    if (times != 1).any():
        first = int(np.flatnonzero(times != 1)[0])
        raise DataError(
            f"sample {first} has {times[first]} predictions, expected 1; {len(rows)} predictions "
            f"for {count} samples"
        )
    for row in rows:
        if len(row["keypoints"]) != 3 * joints:
            raise DataError(
                f"the prediction for sample {row['sample']} has {len(row['keypoints'])} values, "
                f"expected {3 * joints}"
            )
    return sorted(rows, key=lambda row: int(row["sample"]))


def _own_similarity(dataset: PoseDataset, truth: Truth, points: Floats, sigmas: Floats) -> Floats:
    """(N,) similarity of each prediction with the person of its box, NaN for a detector's box."""
    own = np.full(len(points), np.nan)
    row = {int(id): number for number, id in enumerate(truth.ids)}
    annotation = dataset.samples.annotation
    with_person = np.flatnonzero(dataset.samples.person >= 0)
    people = np.array([row[int(annotation[i])] for i in with_person], dtype=np.int64)
    own[with_person] = similarity(points, truth, with_person, people, sigmas)
    return own
