"""Rows as an inspection gives them, of encoders that never were."""

from __future__ import annotations

import numpy as np

from harness.analysis.inspected import Inspected
from harness.analysis.rows import Found, Row, row

IMAGES = 24
HEAD_MEASURES = {
    "attention.distance": (90.0, 1.0),
    "attention.distance_relative": (0.8, 0.01),
    "attention.entropy": (4.0, 0.03),
    "attention.entropy_relative": (0.8, 0.01),
    "attention.nmi": (0.2, 0.01),
    "attention.prefix_mass": (0.1, 0.01),
}
PAIR_MEASURES = {"attention.kl": 1.5, "attention.js": 0.3}


def encoder(
    name: str, seed: int, depths: tuple[int, ...] = (12,), heads: int = 6, level: float = 1.0
) -> Inspected:
    """An encoder with stages of so many blocks; later blocks are higher by `level`."""
    rng = np.random.default_rng(seed)
    stages = [stage for stage, depth in enumerate(depths) for _ in range(depth)]
    found = {
        "attention": attention(rng, stages, heads, level),
        "similarity": similarity(rng, stages),
        "spectrum": spectrum(rng, stages),
        "probe": probes(rng, stages),
    }
    return Inspected(name, found)


def attention(rng: np.random.Generator, stages: list[int], heads: int, level: float) -> Found:
    depth = len(stages)
    rows: list[Row] = []
    by_image = {}
    ramp = np.linspace(0.3, 1.0, depth)[:, None] * level
    offsets = ("attention.offset_x", "attention.offset_y")
    for measure, (scale, noise) in {**HEAD_MEASURES, **dict.fromkeys(offsets, (20.0, 2.0))}.items():
        centre = scale * ramp * rng.uniform(0.4, 1.0, (depth, heads))
        if measure in offsets:
            centre = rng.normal(0, scale / 3, (depth, heads))
        values = centre + rng.normal(0, noise * 3, (IMAGES, depth, heads))
        rows += summed(measure, values, stages)
        by_image[measure] = values
    for measure, scale in PAIR_MEASURES.items():
        values = scale * (1.3 - ramp[:, 0] / 1.3) + rng.normal(0, scale / 10, (IMAGES, depth))
        rows += of_blocks(measure, values, stages)
        by_image[measure] = values
    return Found(tuple(rows), by_image)


def summed(measure: str, values: np.ndarray, stages: list[int]) -> list[Row]:
    """Rows of every head and block from values (n,blocks,heads)."""
    n = len(values)
    mean, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(n)
    rows = of_blocks(measure, values.mean(2), stages)
    for (block, head), value in np.ndenumerate(mean):
        place = {"block": block, "stage": stages[block], "head": head}
        rows.append(row(measure, float(value), n, error=float(error[block, head]), **place))
    return rows


def of_blocks(measure: str, values: np.ndarray, stages: list[int]) -> list[Row]:
    """Rows of every block from values (n,blocks)."""
    n = len(values)
    mean, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(n)
    return [
        row(measure, float(mean[b]), n, error=float(error[b]), block=b, stage=stage)
        for b, stage in enumerate(stages)
    ]


def similarity(rng: np.random.Generator, stages: list[int]) -> Found:
    depth = len(stages)
    rows = []
    for measure, reach in {
        "similarity.cka.tokens": 0.3,
        "similarity.cka.pooled": 0.15,
        "similarity.cka_full.pooled": 0.15,
        "similarity.masked.tokens": 0.4,
        "similarity.masked.pooled": 0.3,
    }.items():
        for a, b in np.ndindex(depth, depth):
            if measure.endswith("tokens") and stages[a] != stages[b]:
                continue
            value = np.exp(-reach * abs(a - b) * 6 / depth) - (0.1 if "masked" in measure else 0)
            rows.append(row(measure, float(value), IMAGES, block=a, stage=stages[a], other_block=b))
    ranks = np.linspace(5, 60, depth) + rng.normal(0, 2, depth)
    for b, stage in enumerate(stages):
        place = {"block": b, "stage": stage}
        rows.append(row("similarity.effective_rank", float(ranks[b]), IMAGES, **place))
        rows.append(row("similarity.uniformity", float(-ranks[b] / 20), IMAGES, error=0.1, **place))
    return Found(tuple(rows))


def spectrum(rng: np.random.Generator, stages: list[int]) -> Found:
    rows = []
    for b, stage in enumerate(stages):
        frequencies = np.linspace(0, 1, max(3, 8 >> stage))
        slope = -4 + 3 * b / len(stages) + rng.normal(0, 0.1)
        for frequency in frequencies:
            place = {"block": b, "stage": stage, "frequency": float(frequency)}
            value = float(slope * np.sqrt(frequency))
            rows.append(row("spectrum.amplitude", value, IMAGES, error=0.05, **place))
        rows.append(
            row("spectrum.high_frequency", float(slope), IMAGES, error=0.05, block=b, stage=stage)
        )
    return Found(tuple(rows))


def probes(rng: np.random.Generator, stages: list[int]) -> Found:
    rows = []
    depth = len(stages)
    for measure in ("probe.knn", "probe.linear", "probe.depth", "probe.pose"):
        peak = rng.uniform(0.4, 0.95) * depth
        sign = -1 if measure == "probe.depth" else 1
        for b, stage in enumerate(stages):
            value = sign * (-0.4 * ((b - peak) / depth) ** 2 + rng.normal(0, 0.005)) + 0.8
            rows.append(row(measure, float(value), IMAGES, error=0.01, block=b, stage=stage))
        rows.append(row(f"{measure}_constant", 0.8 - 0.5 * sign, IMAGES, error=0.01))
        rows.append(row(f"{measure}_peak", 0.7, IMAGES, error=0.1))
    return Found(tuple(rows))


def pair(first: Inspected, second: Inspected, depths: tuple[int, int] = (12, 12)) -> Inspected:
    """CKA between two encoders."""
    rows = tuple(
        row(
            measure,
            float(np.exp(-abs(a / depths[0] - b / depths[1]))),
            IMAGES,
            block=a,
            other_block=b,
        )
        for measure in ("similarity.between.tokens", "similarity.between.pooled")
        for a, b in np.ndindex(depths)
    )
    return Inspected(first.name, {"similarity": Found(rows)}, second.name)
