"""The figures of COCO's keypoint summary from what became of the detections.

With a weight an image, the same code gives the figures of the set, of a part of its images, and of
samples drawn from it with replacement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.scoring.curves import RECALLS, Ranking
from tasks.scoring.curves import curves as prepare

Floats = NDArray[np.float64]


def curves(ranking: Ranking, weights: Floats) -> tuple[Floats, Floats]:
    """Precision (A, W, T, 101) at the recalls of `RECALLS`, and the highest recall (A, W, T), for A
    area ranges and T thresholds; -1 where no person counts.

    weights: (W, I) how often each image is in each of W sets.
    """
    prepared = prepare(ranking)
    ranges, thresholds, _ = ranking.shape
    precision = np.empty((ranges, len(weights), thresholds, len(RECALLS)))
    highest = np.empty((ranges, len(weights), thresholds))
    for number, each in enumerate(weights.astype(np.int64)):
        precision[:, number] = prepared.precision(each)[:, :, 0].transpose(2, 0, 1)
        highest[:, number] = prepared.hits.recall(each)[:, 0].T
    return precision, highest


def figures(ranking: Ranking, areas: dict[str, int], weights: Floats) -> dict[str, Floats]:
    """The figures of COCO's summary, each (W,); -1 where no person counts.

    areas: the area ranges by the letters that their names end in: "" for all.
    """
    found: dict[str, Floats] = {}
    precision, recall = curves(ranking, weights)
    for letter, area in areas.items():
        found[f"AP{letter}"] = precision[area].mean(axis=(1, 2))
        found[f"AR{letter}"] = recall[area].mean(axis=1)
        if not letter:
            for name, t in (("50", 0), ("75", 5)):
                found[f"AP{name}"] = precision[area, :, t].mean(axis=1)
                found[f"AR{name}"] = recall[area, :, t]
    return found
