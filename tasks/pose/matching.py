"""Object keypoint similarity, and what detections find which people by it.

The rules are those of COCO's evaluator (pycocotools cocoeval.py 2.0.11). Sums run over the same
numbers in the same order, so that a similarity that lies on a threshold falls on the same side of
it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.scoring.assignment import THRESHOLDS, Pairs, assign, everywhere
from tasks.scoring.curves import Ranking

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAX_DETECTIONS = 20
"""The best so many detections of an image count."""

_EPS = np.spacing(1)
_FAR = 1e12


@dataclass(frozen=True)
class Truth:
    """G annotated people in file order.

    Attributes:
        image: (G,) number of the image; images count in the order of their ids.
        ids: (G,) annotation ids: one that is 0 never counts as found.
        boxes: (G, 4). keypoints: (G, K, 3) with v > 0 where labelled.
        areas: (G,) scale of the similarity, and what the ranges look at.
        ignored: (G,) neither found nor missed: crowds, and people without a labelled joint.
        crowd: (G,) may be matched again and again.
    """

    image: Ints
    ids: Ints
    boxes: Floats
    keypoints: Floats
    areas: Floats
    ignored: Bools
    crowd: Bools


@dataclass(frozen=True)
class Detections:
    """D detections: image (D,), keypoints (D, K, 2), scores (D,), areas (D,) in square pixels."""

    image: Ints
    keypoints: Floats
    scores: Floats
    areas: Floats

    def take(self, rows: Any) -> Detections:
        return replace(self, **{name: value[rows] for name, value in vars(self).items()})


def bounding_areas(keypoints: Floats) -> Floats:
    """(D,) area of the rectangle about all joints (D, K, 2), as `COCO.loadRes` takes it."""
    low, high = _bounds(keypoints)
    width, height = high - low
    area: Floats = width * height
    return area


def _bounds(points: Floats, among: Bools | None = None) -> tuple[Floats, Floats]:
    """Lowest and highest x and y (2, N) of points (N, K, 2); only `among` (N, K) of them.

    Joints come first in memory meanwhile: minima along short rows are 50 times slower.
    """
    flat = np.ascontiguousarray(points.transpose(2, 1, 0))
    if among is None:
        return flat.min(axis=1), flat.max(axis=1)
    chosen = among.T
    return np.where(chosen, flat, _FAR).min(axis=1), np.where(chosen, flat, -_FAR).max(axis=1)


def similarity(
    points: Floats, truth: Truth, detected: Ints, people: Ints, sigmas: Floats
) -> Floats:
    """Object keypoint similarity of P pairs: mean over labelled joints of
    exp(-d^2 / (2 area (2 sigma)^2)). Without a labelled joint, d is the distance from the box
    grown by itself on each side, over all joints.

    Args:
        points: (D, K, 2). truth: the people.
        detected, people: (P,) rows of the pairs.
        sigmas: (K,).
    """
    variances = (sigmas * 2) ** 2
    labelled = truth.keypoints[..., 2] > 0
    count = labelled.sum(axis=1)
    # Labelled joints first: what is summed must lie side by side, as in the reference.
    order = np.argsort(~labelled, axis=1, kind="stable")
    spread, known = variances[order], _ordered(truth.keypoints[..., :2], order)
    joints = points.shape[1]
    flat = np.ascontiguousarray(points).reshape(-1, 2).view(np.complex128).ravel()
    result = np.empty(len(detected))
    counts = count[people]
    for k in np.unique(counts).tolist():
        chosen = np.flatnonzero(counts == k)
        d, g = detected[chosen], people[chosen]
        if k == 0:
            shift = _outside(points[d], truth.boxes[g])
            squared, width = shift[..., 0] ** 2 + shift[..., 1] ** 2, variances[None, :]
        else:
            place = flat.take(d[:, None] * joints + order[g, :k]) - known[g, :k]
            squared, width = place.real**2 + place.imag**2, spread[g, :k]
        exponent = squared / width / (truth.areas[g] + _EPS)[:, None] / 2
        result[chosen] = np.exp(-exponent).sum(axis=1) / exponent.shape[1]
    return result


def _ordered(points: Floats, order: Ints) -> NDArray[np.complex128]:
    """Points (G, K, 2) in the given order of joints, x + iy: one gather moves both."""
    both: NDArray[np.complex128] = points[..., 0] + 1j * points[..., 1]
    return np.take_along_axis(both, order, axis=1)


def match(
    truth: Truth,
    detections: Detections,
    sigmas: Floats,
    ranges: list[tuple[float, float]],
    images: int,
) -> Ranking:
    """Assign detections to people, the best first, each to the most alike that is left.

    ranges: (lowest, highest) area, both included; people outside are ignored, and so are
    detections outside that found nobody. images: how many there are.
    """
    detections = detections.take(_best(detections))
    pairs = _pairs(truth, detections, sigmas)
    low, high = np.array(ranges).T[:, :, None]
    wanted = ~(truth.ignored | (truth.areas < low) | (truth.areas > high))
    beyond = everywhere((detections.areas < low) | (detections.areas > high))
    fates = assign(pairs, detections.image, wanted, truth.crowd, truth.ids)
    right, wrong = fates.positives(beyond, len(ranges))
    order = np.argsort(-detections.scores, kind="stable")
    people = np.zeros(len(order), np.int64)
    return Ranking(
        image=detections.image[order],
        category=people,
        rank=people,
        found=right[order],
        wrong=wrong[order],
        object_image=truth.image,
        object_category=np.zeros(len(truth.ids), np.int64),
        wanted=wanted,
        thresholds=len(THRESHOLDS),
        images=images,
        categories=1,
    )


def _best(detections: Detections) -> Ints:
    """Rows of the detections that count, by image and falling score."""
    order = np.lexsort((-detections.scores, detections.image))
    image = detections.image[order]
    rank = np.arange(len(order)) - np.searchsorted(image, image)
    return order[rank < MAX_DETECTIONS]


def _pairs(truth: Truth, detections: Detections, sigmas: Floats) -> Pairs:
    """Pairs of one image that are alike enough, with their similarity.

    It is only computed where that could be: some labelled joint must lie so near that its own term
    reaches the lowest threshold, so boxes about the joints, grown by that, meet.
    """
    order = np.argsort(truth.image, kind="stable")
    image = truth.image[order]
    first = np.searchsorted(image, detections.image, side="left")
    count = np.searchsorted(image, detections.image, side="right") - first
    detected = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(detected)) - np.repeat(np.cumsum(count) - count, count)
    people = order[np.repeat(first, count) + within]
    labelled = truth.keypoints[..., 2] > 0
    widest = (sigmas.max() * 2) ** 2
    reach = np.sqrt(-2 * np.log(THRESHOLDS[0]) * widest * (truth.areas + _EPS)) * (1 + 1e-9)
    low, high = _bounds(truth.keypoints[..., :2], labelled)
    # Without a labelled joint the box decides, wherever the detection is.
    reach = np.where(labelled.any(axis=1), reach + 1e-9, 3 * _FAR)
    low, high = low - reach, high + reach
    least, most = _bounds(detections.keypoints)
    meet = np.ones(len(detected), dtype=bool)
    for axis in range(2):
        meet &= most[axis][detected] >= low[axis][people]
        meet &= least[axis][detected] <= high[axis][people]
    detected, people = detected[meet], people[meet]
    value = similarity(detections.keypoints, truth, detected, people, sigmas)
    return Pairs(detected, people, value).take(value >= THRESHOLDS[0])


def _outside(points: Floats, boxes: Floats) -> Floats:
    low = boxes[:, None, :2] - boxes[:, None, 2:]
    high = boxes[:, None, :2] + boxes[:, None, 2:] * 2
    return np.maximum(0, low - points) + np.maximum(0, points - high)
