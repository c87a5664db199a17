"""Object keypoint similarity, and the greedy assignment of detections to people.

The rules are those of COCO's evaluator (pycocotools cocoeval.py 2.0.11), for all images, area
ranges and thresholds at once. Sums run over the same numbers in the same order, so that a
similarity that lies on a threshold falls on the same side of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
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


@dataclass(frozen=True)
class Outcomes:
    """What became of the detections, best first over all images.

    Attributes:
        image: (D,). found, wrong: (A, T, D) true and false positives for A area ranges and T
            thresholds; a detection that is neither does not count.
        wanted: (A, G) whether a person counts; person_image: (G,) its image.
    """

    image: Ints
    found: Bools
    wrong: Bools
    wanted: Bools
    person_image: Ints


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
    truth: Truth, detections: Detections, sigmas: Floats, ranges: list[tuple[float, float]]
) -> Outcomes:
    """Assign detections to people, the best first, each to the most alike that is left.

    ranges: (lowest, highest) area, both included; people outside are ignored, and so are
    detections outside that found nobody.
    """
    detections = detections.take(_best(detections))
    detected, people = _pairs(truth, detections, sigmas)
    value = similarity(detections.keypoints, truth, detected, people, sigmas)
    near = value >= THRESHOLDS[0]
    detected, people, value = detected[near], people[near], value[near]
    low, high = np.array(ranges).T[:, :, None]
    ignored = truth.ignored | (truth.areas < low) | (truth.areas > high)
    beyond = (detections.areas < low) | (detections.areas > high)
    partner = np.stack(
        [_assign(truth, detections, detected, people, value, row) for row in ignored]
    )
    # Row -1, nobody, is one more column at the end.
    areas = np.arange(len(ranges))[:, None, None]
    to_ignored = np.pad(ignored, ((0, 0), (0, 1)))[areas, partner]
    counted = np.append(truth.ids != 0, False)[partner]
    nothing = to_ignored | (~counted & beyond[:, None, :])
    order = np.argsort(-detections.scores, kind="stable")
    return Outcomes(
        detections.image[order],
        (counted & ~nothing)[..., order],
        (~counted & ~nothing)[..., order],
        ~ignored,
        truth.image,
    )


def _best(detections: Detections) -> Ints:
    """Rows of the detections that count, by image and falling score."""
    order = np.lexsort((-detections.scores, detections.image))
    image = detections.image[order]
    rank = np.arange(len(order)) - np.searchsorted(image, image)
    return order[rank < MAX_DETECTIONS]


def _pairs(truth: Truth, detections: Detections, sigmas: Floats) -> tuple[Ints, Ints]:
    """Pairs of one image that could be alike enough: some labelled joint must lie so near that
    its own term reaches the lowest threshold, so boxes about the joints, grown by that, meet."""
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
    return detected[meet], people[meet]


def _outside(points: Floats, boxes: Floats) -> Floats:
    low = boxes[:, None, :2] - boxes[:, None, 2:]
    high = boxes[:, None, :2] + boxes[:, None, 2:] * 2
    return np.maximum(0, low - points) + np.maximum(0, points - high)


def _assign(
    truth: Truth,
    detections: Detections,
    detected: Ints,
    people: Ints,
    value: Floats,
    ignored: Bools,
) -> Ints:
    """(T, D) the person that each detection is matched to, or -1.

    Detections of an image choose in the order of their scores; all images choose at once. A
    person that counts comes before one that is ignored, then the more alike, then the later.
    """
    order = np.lexsort((-people, -value, ignored[people], detected))
    detected, people, value = detected[order], people[order], value[order]
    choosing, start, count = np.unique(detected, return_index=True, return_counts=True)
    image = detections.image[choosing]
    turn = np.arange(len(choosing)) - np.searchsorted(image, image)
    enough = value[:, None] >= np.minimum(THRESHOLDS, 1 - 1e-10)
    taken = np.zeros((len(truth.ids), len(THRESHOLDS)), dtype=bool)
    partner = np.full((len(detections.scores), len(THRESHOLDS)), -1)
    for now in range(int(turn.max(initial=-1)) + 1):
        mine = np.flatnonzero(turn == now)
        for option in range(int(count[mine].max(initial=0))):
            mine = mine[count[mine] > option]
            pair = start[mine] + option
            chosen, person = choosing[mine], people[pair]
            free = ~taken[person] | truth.crowd[person, None]
            take = enough[pair] & free & (partner[chosen] < 0)
            partner[chosen] = np.where(take, person[:, None], partner[chosen])
            taken[person] |= take
    return partner.T
