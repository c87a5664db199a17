"""COCO's twelve figures of detections."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tasks.detection.annotations import Annotations, Detections
from tasks.detection.scoring.matching import RANGES, Matching, match
from tasks.detection.scoring.overlaps import Kind
from tasks.scoring.curves import Curves, Hits, curves, mean_defined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LIMITS = (1, 10, 100)
"""The best so many detections of an image and class count."""


@dataclass(frozen=True)
class Scores:
    """Precision and recall at one set of weights; T thresholds, K classes, A area ranges.

    Attributes:
        precision: (T, 101, K, A) at the recalls of `RECALLS`, with the last of the limits.
        recall: (T, K, A) the highest, with each of the limits.
        A class without an object that counts has -1.
    """

    precision: Floats
    recall: dict[int, Floats]

    def figures(self) -> dict[str, float]:
        """AP, AP50, AP75, APs, APm, APl, and AR with each limit, ARs, ARm, ARl: means over what is
        defined, -1 where nothing is."""
        found = {"AP": mean_defined(self.precision[..., 0])}
        for name, threshold in (("AP50", 0), ("AP75", 5)):
            found[name] = mean_defined(self.precision[threshold, ..., 0])
        for a, letter in enumerate(RANGES):
            found[f"AP{letter}"] = mean_defined(self.precision[..., a])
        for limit, recall in self.recall.items():
            found[f"AR{limit}"] = mean_defined(recall[..., 0])
        recall = self.recall[max(self.recall)]
        for a, letter in enumerate(RANGES):
            if letter:
                found[f"AR{letter}"] = mean_defined(recall[..., a])
        return found

    def of_classes(self, area: int = 0) -> Floats:
        """(K,) AP of each class in an area range, -1 where it has no object that counts."""
        # All entries of a class are defined, or none.
        classes = np.ascontiguousarray(self.precision[..., area].transpose(2, 0, 1))
        found: Floats = classes.reshape(len(classes), -1).mean(axis=1)
        return found


@dataclass(frozen=True)
class Result:
    """Detections measured against annotations.

    Attributes:
        matching: what became of each detection.
        curves: what precision is computed from, with the last of the limits.
        hits: what recall is computed from, with each of the limits.
    """

    matching: Matching
    curves: Curves
    hits: dict[int, Hits]

    def scores(self, weights: Ints) -> Scores:
        """Those of a set with each image as often as `weights` (I,) says."""
        recall = {limit: hits.recall(weights) for limit, hits in self.hits.items()}
        return Scores(self.curves.precision(weights), recall)

    @cached_property
    def once(self) -> Scores:
        """Those of the set itself."""
        return self.scores(np.ones(self.matching.ranking.images, np.int64))


def evaluate(
    truth: Annotations,
    found: Detections,
    kind: Kind,
    limits: tuple[int, ...] = LIMITS,
    by_class: bool = True,
    areas: Floats | None = None,
) -> Result:
    """Measure detections as COCO's evaluator does; see `match`.

    limits: the figures are those of the best so many detections of each image and class; AP and
        the figures by size are those of the last.
    """
    matching = match(truth, found, kind, max(limits), by_class, areas)
    prepared = curves(matching.ranking)
    return Result(matching, prepared, {n: prepared.hits.best(n) for n in sorted(limits)})
