"""The boxes that are most often where the training boxes are, for a prediction without looking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tasks.detection.annotations import Annotations, Floats, Ints

ROUNDS = 100
"""Of k-means at most."""


@dataclass(frozen=True)
class BoxList:
    """K boxes for any image, the highest score first.

    Attributes:
        boxes: (K, 4) x1, y1, x2, y2 in shares of the image's width and height.
        category: (K,) rows of the categories.
        scores: (K,) how many boxes of all are nearest to it, a share.
    """

    boxes: Floats
    category: Ints
    scores: Floats

    def in_image(self, width: int, height: int) -> Floats:
        """(K, 4) x, y, width, height in pixels."""
        corners = self.boxes * [width, height, width, height]
        return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def of(annotations: Annotations, count: int) -> BoxList:
    """Cluster the boxes of each class.

    Each class has an equal part of `count`, one cluster at least, and no more than it has different
    boxes.

    Args:
        annotations: of the training images; crowd regions do not count.
        count: how many boxes an image may have.
    """
    objects = annotations.objects.take(~annotations.objects.crowd)
    sizes = np.tile(annotations.images.sizes[objects.image], 2)
    relative = np.clip(objects.corners / sizes, 0, 1)
    present = np.unique(objects.category)
    each = max(1, count // max(1, len(present)))
    boxes, categories, scores = [np.zeros((0, 4))], [np.zeros(0, np.int64)], [np.zeros(0)]
    for category in present.tolist():
        centres, members = k_means(relative[objects.category == category], each)
        boxes.append(centres)
        categories.append(np.full(len(centres), category))
        scores.append(members / len(objects))
    found = np.concatenate(scores)
    order = np.argsort(-found, kind="stable")[:count]
    return BoxList(np.concatenate(boxes)[order], np.concatenate(categories)[order], found[order])


def k_means(points: Floats, count: int) -> tuple[Floats, Ints]:
    """At most `count` centres (K, D) of N points (N, D), and how many points each has (K,).

    Lloyd's iterations from the point nearest to the mean and then, again and again, the point
    furthest from those chosen: nothing is drawn.
    """
    centres = _spread(points, count)
    nearest = np.full(len(points), -1)
    for _ in range(ROUNDS):
        before, nearest = nearest, _squares(points, centres).argmin(1)
        if (nearest == before).all():
            break
        members = np.bincount(nearest, minlength=len(centres))
        sums = [np.bincount(nearest, column, len(centres)) for column in points.T]
        filled = members > 0
        centres[filled] = np.stack(sums, axis=1)[filled] / members[filled, None]
    members = np.bincount(nearest, minlength=len(centres))
    return centres[members > 0], members[members > 0]


def _spread(points: Floats, count: int) -> Floats:
    """At most `count` different points, each as far as possible from those before."""
    chosen = [int(_squares(points, points.mean(0, keepdims=True)).argmin())]
    distance = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
    return points[chosen].copy()


def _squares(points: Floats, centres: Floats) -> Floats:
    """Squared distances (N, K)."""
    lengths = (points**2).sum(1)[:, None] + (centres**2).sum(1)
    found: Floats = lengths - 2 * points @ centres.T
    return found
