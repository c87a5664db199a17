"""The measures once more, as loops over single weights in float64: slow, and nothing shared."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from backbones import WindowAttention

EPSILON = 1e-8


class Rows:
    """The rows of one image and head: by (window, query), the weight of each allowed key."""

    def __init__(self, found: WindowAttention, image: int, head: int) -> None:
        self.weights: dict[tuple[int, int], dict[int, float]] = {}
        self.prefix: list[float] = []
        self.forbidden: list[float] = []
        self.empty = 0
        first = found.prefix
        windows, queries, keys = found.allowed.shape
        for window, query in product(range(windows), range(first, queries)):
            row = found.probabilities[image, window, head, query].double().tolist()
            may = [k for k in range(first, keys) if found.allowed[window, query, k]]
            if not may:
                continue
            self.prefix.append(sum(row[:first]))
            total = sum(row[k] for k in may)
            self.forbidden.append(sum(row[first:]) - total)
            self.empty += total == 0
            self.weights[window, query] = {
                k: row[k] / total if total else 1 / len(may) for k in may
            }


def by_head(found: WindowAttention, rows: Rows) -> dict[str, float]:
    """Every measure of one image and head."""
    queries, keys = found.query_positions.double().numpy(), found.key_positions.double().numpy()
    entropies, relative, distances, uniform = [], [], [], []
    offsets, received = [], dict[tuple[int, int], float]()
    for (window, query), row in rows.weights.items():
        here = queries[window, query]
        steps = {k: keys[window, k] - here for k in row}
        lengths = {k: math.hypot(*steps[k]) for k in row}
        distances.append(sum(a * lengths[k] for k, a in row.items()))
        uniform.append(sum(lengths.values()) / len(row))
        entropies.append(sum(-a * math.log(a) for a in row.values() if a > 0))
        if len(row) > 1:
            relative.append(entropies[-1] / math.log(len(row)))
        offsets.append(sum(a * steps[k] for k, a in row.items()))
        for k, a in row.items():
            received[window, k] = received.get((window, k), 0) + a / len(rows.weights)
    x, y = np.mean(offsets, axis=0)
    return {
        "distance": float(np.mean(distances)),
        "distance_relative": float(np.mean(distances) / np.mean(uniform)),
        "entropy": float(np.mean(entropies)),
        "entropy_relative": float(np.mean(relative)),
        "nmi": _nmi(rows, received),
        "offset_x": float(x),
        "offset_y": float(y),
        "prefix_mass": float(np.mean(rows.prefix)),
        "forbidden_mass": float(np.mean(rows.forbidden)),
        "empty": rows.empty,
    }


def _nmi(rows: Rows, received: dict[tuple[int, int], float]) -> float:
    if sum(p > 0 for p in received.values()) == 1:
        return 0.0
    share = 1 / len(rows.weights)
    information = sum(
        share * a * math.log(a / received[window, k])
        for (window, _), row in rows.weights.items()
        for k, a in row.items()
        if a > 0
    )
    of_keys = -sum(p * math.log(p) for p in received.values() if p > 0)
    return information / math.sqrt(of_keys * math.log(len(rows.weights)))


def by_pair(one: Rows, other: Rows) -> dict[str, float]:
    """KL and JS of two heads of one image."""
    found: dict[str, list[Any]] = {"kl": [], "js": []}
    for place, first in one.weights.items():
        second = other.weights[place]
        raised = [[a + EPSILON for a in row.values()] for row in (first, second)]
        p, q = ([a / sum(row) for a in row] for row in raised)
        found["kl"].append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
        half = 0.0
        for a, b in zip(first.values(), second.values(), strict=True):
            half += sum(c * math.log(2 * c / (a + b)) / 2 for c in (a, b) if c > 0)
        found["js"].append(half)
    return {name: float(np.mean(values)) for name, values in found.items()}
