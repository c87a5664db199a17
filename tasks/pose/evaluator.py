"""Keypoint AP as pycocotools and the CrowdPose API compute it, without their per-person loops.

The rules, traps included, are those of COCOeval (pycocotools 2.0.11) and of crowdposetools:
thresholds 0.50:0.05:0.95, 101 recalls, the 20 best detections of an image, a person whose
annotation has the id 0 never counts as found, and a `bbox` in the first detection gives every
detection its area.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Convention = Literal["coco", "crowdpose"]

THRESHOLDS: Array = np.linspace(0.5, 0.95, 10)
RECALLS: Array = np.linspace(0.0, 1.0, 101)
AREAS = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
MOST_DETECTIONS = 20
CROWD_LIMITS = (0.2, 0.8)
_EPS = np.spacing(1)


@dataclass(frozen=True)
class _Image:
    """Truth and detections of one image, the latter best first."""

    identity: int | str
    oks: Array
    crowd: Flags
    ignored: Flags
    truth_area: Array
    truth_zero: Flags
    scores: Array
    area: Array


@dataclass(frozen=True)
class _Matches:
    """Detections of all images in the order of images: (T,D) flags and (D,) scores."""

    scores: Array
    found: Flags
    ignored: Flags
    image: NDArray[np.int64]
    counting: NDArray[np.int64]


@dataclass(frozen=True)
class Figures:
    """The figures of a set of detections.

    Attributes:
        stats: AP, AP50, AP75, AR ...; shares in [0,1], -1 where nothing counts.
        counts: persons that count, by area range.
    """

    stats: dict[str, float]
    counts: dict[str, int]
    matches: _Matches

    def bootstrap_error(self, resamples: int = 200, seed: int = 0) -> float | None:
        """Standard error of AP over images, drawn with replacement; None with fewer than two."""
        images = len(self.matches.counting)
        if images < 2 or self.stats["AP"] < 0:
            return None
        rng = np.random.default_rng(seed)
        weights = rng.multinomial(images, np.full(images, 1 / images), size=resamples)
        values = [_average(_curves(self.matches, draw)[0]) for draw in weights]
        return float(np.std([value for value in values if value >= 0], ddof=1))


def evaluate(
    truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    sigmas: Sequence[float],
    convention: Convention = "coco",
) -> Figures:
    """Score detections of persons in COCO's result format.

    Args:
        truth: COCO keypoint annotations; for CrowdPose each image has a `crowdIndex`.
        detections: `image_id`, `keypoints` (x, y, score a joint), `score`.
        sigmas: one a joint, the fall-off of OKS in units of the person's size.
        convention: whose area and figures.

    Raises:
        ValueError: no detections, or one of an image that the truth does not list.
    """
    images = _images(truth, detections, np.asarray(sigmas, np.float64), convention)
    matches = {name: _match(images, limits) for name, limits in AREAS.items()}
    curves = {name: _curves(found) for name, found in matches.items()}
    stats = _stats(curves, ("all", "medium", "large") if convention == "coco" else ("all",))
    if convention == "crowdpose":
        stats |= _by_crowding(truth, images)
    counts = {name: int(found.counting.sum()) for name, found in matches.items()}
    return Figures(stats, counts, matches["all"])


def oks_matrix(detected: Array, true: Array, boxes: Array, areas: Array, sigmas: Array) -> Array:
    """Object keypoint similarity (D,G) of joints (D,K,2) and (G,K,3), truth with boxes (G,4).

    exp(-d^2 / (2 area (2 sigma)^2)), mean over the labelled joints; a person without any is
    compared by how far joints lie outside its box, grown by its own size on each side.
    """
    if len(detected) == 0 or len(true) == 0:
        return np.zeros((len(detected), len(true)))
    labelled = true[:, :, 2] > 0
    offset = detected[:, None, :, :2] - true[None, :, :, :2]
    low, high = boxes[:, :2] - boxes[:, 2:], boxes[:, :2] + 2 * boxes[:, 2:]
    joints = detected[:, None, :, :2]
    outside = np.maximum(0, low[None, :, None] - joints) + np.maximum(
        0, joints - high[None, :, None]
    )
    any_labelled = labelled.any(1)
    offset = np.where(any_labelled[None, :, None, None], offset, outside)
    variance = (2 * sigmas) ** 2
    distance = np.square(offset).sum(-1) / variance / (areas[None, :, None] + _EPS) / 2
    weight = np.where(any_labelled[:, None], labelled, True)
    similarity: Array = (np.exp(-distance) * weight[None]).sum(-1) / weight.sum(-1)[None]
    return similarity


def _images(
    truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    sigmas: Array,
    convention: Convention,
) -> list[_Image]:
    if not detections:
        raise ValueError("there are no detections to evaluate")
    ids = sorted({image["id"] for image in truth["images"]})
    people: dict[Any, list[Mapping[str, Any]]] = {number: [] for number in ids}
    found: dict[Any, list[Mapping[str, Any]]] = {number: [] for number in ids}
    for person in truth["annotations"]:
        people[person["image_id"]].append(person)
    for detection in detections:
        if detection["image_id"] not in found:
            raise ValueError(f"a detection is of image {detection['image_id']!r}, which is unknown")
        found[detection["image_id"]].append(detection)
    by_box = bool(detections[0].get("bbox"))
    return [
        _image(number, people[number], found[number], sigmas, convention, by_box) for number in ids
    ]


def _image(
    number: int | str,
    people: list[Mapping[str, Any]],
    found: list[Mapping[str, Any]],
    sigmas: Array,
    convention: Convention,
    by_box: bool,
) -> _Image:
    joints = len(sigmas)
    true = np.array([p["keypoints"] for p in people], np.float64).reshape(-1, joints, 3)
    boxes = np.array([p["bbox"] for p in people], np.float64).reshape(-1, 4)
    if convention == "crowdpose":
        areas = boxes[:, 2] * boxes[:, 3] * 0.53
    else:
        areas = np.array([p["area"] for p in people], np.float64)
    crowd = np.array([bool(p.get("iscrowd", 0)) for p in people], bool)
    unlabelled = np.array([p["num_keypoints"] == 0 for p in people], bool)
    scores = np.array([d["score"] for d in found], np.float64)
    best = np.argsort(-scores, kind="stable")[:MOST_DETECTIONS]
    guess = np.array([found[i]["keypoints"] for i in best], np.float64).reshape(-1, joints, 3)
    if by_box:
        area = np.array([found[i]["bbox"][2] * found[i]["bbox"][3] for i in best], np.float64)
    else:
        area = np.prod(np.ptp(guess[:, :, :2], axis=1), axis=1)
    return _Image(
        identity=number,
        oks=oks_matrix(guess, true, boxes, areas, sigmas),
        crowd=crowd,
        ignored=crowd | unlabelled,
        truth_area=areas,
        truth_zero=np.array([p["id"] == 0 for p in people], bool),
        scores=scores[best],
        area=area,
    )


def _match(images: Sequence[_Image], limits: tuple[float, float]) -> _Matches:
    """Match detections to truth in every image, for the persons whose area lies in `limits`."""
    low, high = limits
    found, ignored, counting = [], [], []
    for image in images:
        skip = image.ignored | (image.truth_area < low) | (image.truth_area > high)
        matched, to_ignored = _match_image(image, skip)
        outside = (image.area < low) | (image.area > high)
        found.append(matched)
        ignored.append(to_ignored | (~matched & outside))
        counting.append(int((~skip).sum()))
    sizes = [len(image.scores) for image in images]
    return _Matches(
        np.concatenate([image.scores for image in images]),
        np.concatenate(found, axis=1),
        np.concatenate(ignored, axis=1),
        np.repeat(np.arange(len(images)), sizes),
        np.array(counting, np.int64),
    )


def _match_image(image: _Image, skip: Flags) -> tuple[Flags, Flags]:
    """Who is found, at each threshold: (T,D) matched, and (T,D) matched to somebody to skip.

    Each detection, best first, takes the free person of highest OKS at or above the threshold,
    the later of equals; somebody to skip only where nobody else is left, a crowd again and again.
    """
    count, people = image.oks.shape
    matched = np.zeros((len(THRESHOLDS), count), bool)
    to_skipped = np.zeros_like(matched)
    if count == 0 or people == 0:
        return matched, to_skipped
    limit = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    free = np.ones((len(THRESHOLDS), people), bool)
    rows = np.arange(len(THRESHOLDS))
    for detection in range(count):
        value = image.oks[detection]
        able = (free | image.crowd) & (value >= limit)
        taken, some = _best(value, able & ~skip)
        fallback, any_skipped = _best(value, able & skip)
        chosen = np.where(some, taken, fallback)
        hit = some | any_skipped
        free[rows[hit], chosen[hit]] = False
        to_skipped[:, detection] = hit & ~some
        matched[:, detection] = hit & ~image.truth_zero[chosen]
    return matched, to_skipped


def _best(value: Array, able: Flags) -> tuple[NDArray[np.int64], Flags]:
    """The last of the highest values among those `able` (T,G), and whether there is one (T,)."""
    masked = np.where(able, value, -1.0)[:, ::-1]
    return masked.shape[1] - 1 - masked.argmax(1), able.any(1)


def _curves(matches: _Matches, weights: NDArray[np.int64] | None = None) -> tuple[Array, Array]:
    """Precision (T,101) at the recalls and highest recall (T,); -1 where nothing counts.

    `weights` (images,) says how often each image is in the sample.
    """
    if weights is None:
        weights = np.ones(len(matches.counting), np.int64)
    people = int((matches.counting * weights).sum())
    if people == 0:
        return np.full((len(THRESHOLDS), len(RECALLS)), -1.0), np.full(len(THRESHOLDS), -1.0)
    order = np.argsort(-matches.scores, kind="stable")
    share = weights[matches.image[order]].astype(np.float64)
    counted = ~matches.ignored[:, order]
    right = np.cumsum((matches.found[:, order] & counted) * share, axis=1)
    wrong = np.cumsum((~matches.found[:, order] & counted) * share, axis=1)
    recall, precision = right / people, right / (right + wrong + _EPS)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    at_recalls = np.zeros((len(THRESHOLDS), len(RECALLS)))
    for row in range(len(THRESHOLDS)):
        place = np.searchsorted(recall[row], RECALLS, side="left")
        inside = place < recall.shape[1]
        at_recalls[row, inside] = envelope[row, place[inside]]
    highest = recall[:, -1] if recall.shape[1] else np.zeros(len(THRESHOLDS))
    return at_recalls, highest


def _average(values: Array) -> float:
    """Mean of the entries that are defined; -1 where none is."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else -1.0


def _stats(curves: Mapping[str, tuple[Array, Array]], areas: Sequence[str]) -> dict[str, float]:
    half, three_quarters = 0, 5
    stats: dict[str, float] = {}
    for name, which in (("AP", 0), ("AR", 1)):
        every = curves["all"][which]
        stats[name] = _average(every)
        stats[f"{name}50"] = _average(every[half])
        stats[f"{name}75"] = _average(every[three_quarters])
        for area in areas[1:]:
            stats[f"{name}_{area}"] = _average(curves[area][which])
    return stats


def _by_crowding(truth: Mapping[str, Any], images: Sequence[_Image]) -> dict[str, float]:
    """AP of the images of each class of crowd index, to four decimals as the API gives it."""
    crowding = {image["id"]: image["crowdIndex"] for image in truth["images"]}
    easy, hard = CROWD_LIMITS
    classes = {
        "easy": [i for i in images if crowding[i.identity] < easy],
        "medium": [i for i in images if easy <= crowding[i.identity] < hard],
        "hard": [i for i in images if crowding[i.identity] >= hard],
    }
    return {
        f"AP_{name}": round(float(_curves(_match(some, AREAS["all"]))[0].mean()), 4)
        if some
        else -1.0
        for name, some in classes.items()
    }
