"""Average precision and recall from what became of the detections.

With a weight an image, the same code gives the figures of the set, of a part of its images, and of
samples drawn from it with replacement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.pose.matching import THRESHOLDS, Outcomes

Floats = NDArray[np.float64]

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
RESAMPLES = 200

_EPS = np.spacing(1)
_AT_ONCE = 20
"""Weights that are worked on together, so that their sums stay in the cache."""


def curves(outcomes: Outcomes, area: int, weights: Floats) -> tuple[Floats, Floats]:
    """Precision (W, T, 101) at the recalls of `RECALLS`, and the highest recall (W, T).

    Precision at a recall is the highest at this or any higher one, 0 beyond the highest. -1 where
    no person counts.

    Args:
        outcomes: of the matching. area: number of the area range.
        weights: (W, I) how often each image is in each of W sets.
    """
    wanted = np.bincount(outcomes.person_image[outcomes.wanted[area]], minlength=weights.shape[1])
    people = weights @ wanted.astype(weights.dtype)
    precision = np.zeros((len(weights), len(THRESHOLDS), len(RECALLS)))
    highest = np.zeros((len(weights), len(THRESHOLDS)))
    for first in range(0, len(weights), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        each = weights[part].T[outcomes.image]
        for t in range(len(THRESHOLDS)):
            found = outcomes.found[area, t]
            counting = np.flatnonzero(found | outcomes.wrong[area, t])
            positions = np.flatnonzero(found[counting])
            if not len(positions):
                continue
            # Precision only matters where a person is found: between, it falls.
            so_far = np.cumsum(each[counting], axis=0)[positions]
            true = np.cumsum(each[found], axis=0)
            sharp = true / (so_far + _EPS)
            sharp = np.maximum.accumulate(sharp[::-1], axis=0)[::-1]
            recall = true / np.maximum(people[part], _EPS)
            highest[part, t] = recall[-1]
            for w in range(recall.shape[1]):
                place = np.searchsorted(recall[:, w], RECALLS, side="left")
                inside = place < len(positions)
                precision[first + w, t, inside] = sharp[place[inside], w]
    precision[people == 0] = -1.0
    highest[people == 0] = -1.0
    return precision, highest


def figures(outcomes: Outcomes, areas: dict[str, int], weights: Floats) -> dict[str, Floats]:
    """The figures of COCO's summary, each (W,); -1 where no person counts.

    areas: the area ranges by the letters that their names end in: "" for all.
    """
    found: dict[str, Floats] = {}
    for letter, area in areas.items():
        precision, recall = curves(outcomes, area, weights)
        found[f"AP{letter}"] = precision.mean(axis=(1, 2))
        found[f"AR{letter}"] = recall.mean(axis=1)
        if not letter:
            for name, t in (("50", 0), ("75", 5)):
                found[f"AP{name}"] = precision[:, t].mean(axis=1)
                found[f"AR{name}"] = recall[:, t]
    return found


def draws(images: int, seed: int = 0) -> Floats:
    """(RESAMPLES, images) how often each image is drawn, with replacement and a fixed seed."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    return drawn.astype(float)


def standard_error(values: Floats) -> float | None:
    """Standard deviation over the resamples in which people count; None below two."""
    defined = values[values > -1]
    return float(defined.std(ddof=1)) if len(defined) > 1 else None
