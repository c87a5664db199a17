"""The harness's own convention: any encoder, windows and shifts, pixels of its input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.analysis.attention import measures
from harness.analysis.attention.cleaning import clean, layout
from harness.analysis.attention.conventions.contract import Convention, Figures, joined
from harness.analysis.attention.conventions.offsets import along_mean

if TYPE_CHECKING:
    from backbones import WindowAttention
    from harness.analysis.attention.cleaning import Layout
    from harness.analysis.attention.conventions.contract import Heads

_PART = {"cpu": 2**19}
"""Weights that are measured at once, by device: more would leave the cache between two steps."""
_BESIDE = ("forbidden_mass", "empty", "rows")


class Rule(Convention):
    """Prefix tokens, padding and forbidden pairs dropped, rows renormalised."""

    def figures(self, found: WindowAttention) -> Figures:
        places = layout(found)
        return joined([_figures(part, places) for part in _parts(found)])

    def finished(self, heads: Heads) -> Heads:
        kept = {name: values for name, values in heads.items() if name not in _BESIDE}
        return kept | {"offset": along_mean(heads["offset_x"], heads["offset_y"])}

    def notes(self, blocks: Sequence[Heads]) -> tuple[str, ...]:
        said = [
            f"KL with {measures.EPSILON:g} added to every allowed weight, renormalised; logarithms "
            "are natural.",
            "The offset of an image is taken along the mean offset of all, so that its mean is the "
            "norm of the mean offset.",
        ]
        said += _dropped(blocks, "prefix_mass", "prefix tokens")
        said += _dropped(blocks, "forbidden_mass", "padding and pairs that rolling made neighbours")
        empty = int(sum(block["empty"].sum() for block in blocks))
        if empty:
            rows = int(sum(block["rows"].sum() for block in blocks))
            said.append(
                f"{empty} of {rows} attention rows had no weight left once that was dropped, most "
                f"in {_most(blocks, 'empty')[1]}; they count as uniform over their allowed keys."
            )
        return tuple(said)


def _parts(found: WindowAttention) -> Iterator[WindowAttention]:
    """Yield some images at a time, so many that their weights stay in the cache."""
    weights = found.probabilities
    images = max(1, _PART.get(weights.device.type, 2**28) // weights[0].numel())
    for some in torch.split(weights, images):
        yield dataclasses.replace(found, probabilities=some)


def _figures(found: WindowAttention, places: Layout) -> Figures:
    patches = clean(found, places)
    of_rows = measures.row_entropies(patches.weights)
    shares = measures.key_shares(patches)
    x, y = measures.offset(shares, places).unbind(dim=-1)
    distance = measures.distance(patches)
    heads = {
        "distance": distance,
        "distance_relative": distance / (places.uniform_distance() or math.nan),
        "entropy": measures.entropy(of_rows, places),
        "entropy_relative": measures.entropy_relative(of_rows, places),
        "nmi": measures.nmi(shares, of_rows, places),
        "offset_x": x,
        "offset_y": y,
        "prefix_mass": patches.prefix_mass,
        "forbidden_mass": patches.forbidden_mass,
        "empty": patches.empty.double(),
        "rows": distance.new_full(distance.shape, places.rows),
    }
    return Figures(heads, {"kl": measures.kl(patches), "js": measures.js(patches, of_rows)})


def _dropped(blocks: Sequence[Heads], measure: str, what: str) -> list[str]:
    most, where = _most(blocks, measure)
    if most == 0:
        return []
    mean = float(np.mean([block[measure].mean() for block in blocks]))
    return [
        f"{mean:.3%} of the attention of patches is on {what} (most in {where}: {most:.3%}); it "
        "was dropped and the rest renormalised."
    ]


def _most(blocks: Sequence[Heads], measure: str) -> tuple[float, str]:
    """Return the largest mean over images, and in words where it is."""
    means = [block[measure].mean(axis=0) for block in blocks]
    block = int(np.argmax([each.max() for each in means]))
    head = int(means[block].argmax())
    return float(means[block][head]), f"block {block}, head {head}"
