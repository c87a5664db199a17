"""Which detections find which objects, as COCO's evaluator has it (pycocotools cocoeval.py
2.0.11)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.detection.annotations import Annotations, Detections
from tasks.detection.scoring.overlaps import Kind, mask_areas, near
from tasks.scoring.assignment import THRESHOLDS, assign, everywhere
from tasks.scoring.curves import Ranking

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RANGES = {"": (0.0, 1e5**2), "s": (0.0, 32.0**2), "m": (32.0**2, 96.0**2), "l": (96.0**2, 1e5**2)}
"""Lowest and highest area in square pixels, both included, by the letter that figures end in."""


@dataclass(frozen=True)
class Matching:
    """What became of the detections.

    Attributes:
        ranking: the best ones of each image and class; images by their rows.
        rows: (D,) each ranked detection's row among those given.
        finder: (G,) place in the ranking of the detection that has the object at the lowest
            threshold, -1 for none.
    """

    ranking: Ranking
    rows: Ints
    finder: Ints


@dataclass(frozen=True)
class _Order:
    """Detections by class, image and score: their rows, groups (class and image) and ranks in
    them; and the places among these of the same detections by class and score."""

    rows: Ints
    group: Ints
    rank: Ints
    ranked: Ints


def match(
    truth: Annotations,
    found: Detections,
    kind: Kind,
    limit: int = 100,
    by_class: bool = True,
    areas: Floats | None = None,
) -> Matching:
    """Rank detections and assign them to objects.

    Images come in the order of their ids, which decides between equal scores. Without classes,
    all count as one.

    Args:
        limit: the best so many detections of each image and class take part.
        by_class: whether class matters.
        areas: (K,) of the detections in square pixels, for the area ranges; by default those of
            the boxes or masks.

    Raises:
        DataError: masks are asked for, and an object has none.
    """
    if not by_class:
        return _without_classes(truth, found, kind, limit, areas)
    objects, images = truth.objects, len(truth.images)
    place = np.argsort(np.argsort(truth.images.ids, kind="stable"), kind="stable")
    order = _order(found, place, limit)
    low, high = np.array(list(RANGES.values())).T[:, :, None]
    wanted = ~(objects.crowd | (objects.areas < low) | (objects.areas > high))
    group = objects.category * images + place[objects.image]
    pairs = near(kind, found, order.rows, order.group, objects, group, float(THRESHOLDS[0]))
    fates = assign(pairs, order.group, wanted, objects.crowd, objects.ids)
    if areas is None:
        areas = found.boxes[:, 2] * found.boxes[:, 3] if kind == "box" else mask_areas(found.masks)
    size = areas[order.rows]
    beyond = everywhere((size < low) | (size > high))
    right, wrong = fates.positives(beyond, len(RANGES))
    rows = order.rows[order.ranked]
    ranking = Ranking(
        image=found.image[rows],
        category=found.category[rows],
        rank=order.rank[order.ranked],
        found=right[order.ranked],
        wrong=wrong[order.ranked],
        object_image=objects.image,
        object_category=objects.category,
        wanted=wanted,
        thresholds=len(THRESHOLDS),
        images=images,
        categories=len(truth.categories),
    )
    place_of = np.full(len(order.rows) + 1, -1)
    place_of[order.ranked] = np.arange(len(rows))
    return Matching(ranking, rows, place_of[fates.finder])


def _order(found: Detections, place: Ints, limit: int) -> _Order:
    image = place[found.image]
    listed = _sort(image)
    falling = listed[np.argsort(-found.scores[listed], kind="stable")]
    by_image = falling[_sort(image[falling])]
    rows = by_image[_sort(found.category[by_image])]
    group = found.category[rows] * len(place) + image[rows]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    rank = np.arange(len(group)) - np.repeat(first, np.diff(first, append=len(group)))
    kept = rank < limit
    rows, group, rank = rows[kept], group[kept], rank[kept]
    where = np.full(len(found), -1)
    where[rows] = np.arange(len(rows))
    ranked = where[falling[_sort(found.category[falling])]]
    return _Order(rows, group, rank, ranked[ranked >= 0])


def _sort(values: Ints) -> Ints:
    """Stable order; numpy sorts short numbers digit by digit."""
    short = values.max(initial=0) < 2**16
    return np.argsort(values.astype(np.uint16) if short else values, kind="stable")


def _without_classes(
    truth: Annotations, found: Detections, kind: Kind, limit: int, areas: Floats | None
) -> Matching:
    """As if there were one class; objects and detections are listed class by class, which decides
    between equals."""
    ours, theirs = _sort(truth.objects.category), _sort(found.category)
    objects = truth.objects.take(ours)
    one = replace(
        truth,
        objects=replace(objects, category=np.zeros_like(objects.category)),
        categories=("any",),
        category_ids=np.zeros(1, np.int64),
    )
    masks = tuple(found.masks[k] for k in theirs.tolist()) if len(found.masks) else ()
    listed = Detections(
        found.image[theirs],
        np.zeros_like(found.category),
        found.boxes[theirs],
        found.scores[theirs],
        masks,
    )
    areas = None if areas is None else areas[theirs]
    matching = match(one, listed, kind, limit, True, areas)
    finder = np.empty_like(matching.finder)
    finder[ours] = matching.finder
    return Matching(matching.ranking, theirs[matching.rows], finder)
