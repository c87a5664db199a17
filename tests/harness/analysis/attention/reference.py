"""Attention to measure: what published codes were given, and what they gave.

`logits.npz` holds the logits of the fixture's `inputs.npz`, which with the float32 attention beside
them is twice as large.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backbones import WindowAttention

FOLDER = Path(__file__).parents[3] / "fixtures" / "analysis" / "attention_measures"
CASES = json.loads((FOLDER / "meta.json").read_text())["cases"]
LOGITS = np.load(FOLDER / "logits.npz")
EXPECTED = np.load(FOLDER / "expected.npz")
SQUARE = [case for case, facts in CASES.items() if facts["grid"][0] == facts["grid"][1]]


def expected(case: str, name: str) -> Tensor:
    """What the code gave on float64."""
    return torch.from_numpy(EXPECTED[f"{case}.f64.{name}"])


def grid_positions(rows: int, columns: int, pitch: float = 16.0) -> Tensor:
    """Centres (N,2) as (x,y)."""
    return torch.tensor(
        [[(x + 0.5) * pitch, (y + 0.5) * pitch] for y in range(rows) for x in range(columns)]
    )


def attention(case: str) -> WindowAttention:
    """The case as a backbone would give it: class token and registers are the prefix."""
    facts = CASES[case]
    probabilities = torch.from_numpy(LOGITS[f"{case}.logits"]).double().softmax(dim=-1)
    return one_window(probabilities, tuple(facts["grid"]), facts["cls"] + facts["registers"])


def one_window(
    probabilities: Tensor, grid: tuple[int, int], prefix: int = 0, block: int = 0
) -> WindowAttention:
    """(B,heads,T,T) of a plain ViT."""
    positions = torch.cat([torch.full((prefix, 2), torch.nan), grid_positions(*grid)])[None]
    tokens = positions.shape[1]
    assert probabilities.shape[-2:] == (tokens, tokens)
    allowed = torch.ones(1, tokens, tokens, dtype=torch.bool)
    return WindowAttention(
        block, 0, probabilities.unsqueeze(1), positions, positions, allowed, prefix
    )


def with_class_token(case: str) -> Tensor:
    """What the codes were given: registers deleted, a zero token where there is no class token."""
    facts = CASES[case]
    found = attention(case).probabilities[:, 0]
    if facts["cls"]:
        keep = [0, *range(1 + facts["registers"], found.shape[-1])]
        return found[..., keep, :][..., keep]
    patches = found[..., facts["registers"] :, facts["registers"] :]
    return torch.nn.functional.pad(patches, (1, 0, 1, 0))


def patches(case: str) -> Tensor:
    """(B,heads,N,N), not renormalised."""
    found = attention(case)
    return found.probabilities[:, 0, :, found.prefix :, found.prefix :]
