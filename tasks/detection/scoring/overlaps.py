"""Overlap (intersection over union) of detections and objects, with the arithmetic of pycocotools'
maskApi.c, so that a value that lies on a threshold falls on the same side of it.

Of a crowd, the intersection is divided by the detection's area in place of the union.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataError
from tasks.detection.annotations import Detections, Objects, Rle
from tasks.scoring.assignment import Pairs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Edges = tuple[Floats, Floats, Floats, Floats, Floats]

Kind = Literal["box", "mask"]

_AT_ONCE = 2**18
"""Pairs that are worked on together, so that they stay in the cache."""


def near(
    kind: Kind,
    found: Detections,
    rows: Ints,
    group: Ints,
    objects: Objects,
    object_group: Ints,
    least: float,
) -> Pairs:
    """All pairs of one group that overlap by at least `least`, by detection.

    Args:
        rows: (D,) the detections, as rows of `found`; pairs number them 0 to D - 1.
        group: (D,) rising. object_group: (G,).

    Raises:
        DataError: masks are asked for, and an object has none.
    """
    by_group = np.argsort(object_group, kind="stable")
    parts = _parts(group, object_group[by_group])
    if kind == "box":
        edges = _edges(found.boxes[rows]), _edges(objects.boxes)
        pairs = [_boxes(*edges, objects.crowd, d, by_group[g], least) for d, g in parts]
    else:
        pairs = [_masks(found, rows, group, objects, object_group, by_group, least)]
    return Pairs(
        np.concatenate([np.zeros(0, np.int64), *(p.detected for p in pairs)]),
        np.concatenate([np.zeros(0, np.int64), *(p.objects for p in pairs)]),
        np.concatenate([np.zeros(0), *(p.value for p in pairs)]),
    )


def _parts(group: Ints, object_group: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Rows of all pairs of one group, some at a time; both groups rise."""
    highest = int(max(group.max(initial=-1), object_group.max(initial=-1))) + 1
    size = np.bincount(object_group, minlength=highest)
    begin = np.cumsum(size) - size
    with_objects = np.flatnonzero(size[group] > 0)
    count = size[group[with_objects]]
    first = begin[group[with_objects]]
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + _AT_ONCE, side="right")))
        part = slice(start, stop)
        detected = np.repeat(with_objects[part], count[part])
        shift = first[part] - (total[part] - count[part] - done)
        yield detected, np.arange(len(detected)) + np.repeat(shift, count[part])
        start = stop


def _boxes(
    one: Edges, two: Edges, crowd: Bools, detected: Ints, other: Ints, least: float
) -> Pairs:
    width = np.minimum(one[2][detected], two[2][other])
    width -= np.maximum(one[0][detected], two[0][other])
    meet = width > 0
    detected, other, width = detected[meet], other[meet], width[meet]
    height = np.minimum(one[3][detected], two[3][other])
    height -= np.maximum(one[1][detected], two[1][other])
    meet = height > 0
    detected, other, shared = detected[meet], other[meet], width[meet] * height[meet]
    area = one[4][detected]
    union = np.where(crowd[other], area, area + two[4][other] - shared)
    value = shared / union
    return Pairs(detected, other, value).take(value >= least)


def _edges(boxes: Floats) -> Edges:
    """Left, top, right, bottom and area."""
    x, y, width, height = np.ascontiguousarray(boxes.T)
    return x, y, width + x, height + y, width * height


def _masks(
    found: Detections,
    rows: Ints,
    group: Ints,
    objects: Objects,
    object_group: Ints,
    by_group: Ints,
    least: float,
) -> Pairs:
    from pycocotools import mask

    theirs = object_masks(objects)
    numbers, begin, size = np.unique(object_group[by_group], return_index=True, return_counts=True)
    first = np.searchsorted(group, numbers, side="left")
    last = np.searchsorted(group, numbers, side="right")
    pairs = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    crowd = objects.crowd.astype(np.uint8)
    for d, e, g, n in zip(
        first.tolist(), last.tolist(), begin.tolist(), size.tolist(), strict=True
    ):
        if d == e:
            continue
        others = by_group[g : g + n]
        value = mask.iou(
            [found.masks[k] for k in rows[d:e].tolist()],
            [theirs[k] for k in others.tolist()],
            crowd[others].tolist(),
        )
        i, j = np.nonzero(value >= least)
        pairs.append(Pairs(d + i, others[j], value[i, j]))
    return Pairs(
        np.concatenate([p.detected for p in pairs]),
        np.concatenate([p.objects for p in pairs]),
        np.concatenate([p.value for p in pairs]),
    )


def object_masks(objects: Objects) -> Sequence[Rle]:
    """The masks of all objects.

    Raises:
        DataError: naming the first annotation without one.
    """
    masks: list[Rle] = []
    for row, id in enumerate(objects.ids.tolist()):
        mask = objects.masks[row] if len(objects.masks) else None
        if mask is None:
            raise DataError(
                f"annotation {id} has no mask; measure boxes alone with --set data.masks=false"
            )
        masks.append(mask)
    return masks


def mask_areas(masks: Sequence[Rle]) -> Floats:
    """(N,) pixels of each mask."""
    from pycocotools import mask

    # pycocotools 2.0.11 counts masks in 8 bits under numpy 2.
    parts = [mask.area(list(masks[k : k + 255])) for k in range(0, len(masks), 255)]
    return np.concatenate([np.zeros(0), *parts])
