"""Checkpoints of baaivision/EVA's EVA-02: pre-trained ones and fine-tuned ones.

They hold tables of sines and cosines, which tell the heads and the grid of pre-training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.timm import in_backbone
from backbones.formats.towers import CLIP_MEAN, CLIP_STD

_DECODER = ("mask_token", "lm_head.weight", "lm_head.bias")
_COSINES, _SINES = "rope.freqs_cos", "rope.freqs_sin"
_LAYERS = {
    "mlp.w12": "mlp.fc1",
    "mlp.w1": "mlp.fc1_g",
    "mlp.w2": "mlp.fc1_x",
    "mlp.w3": "mlp.fc2",
    "mlp.ffn_ln": "mlp.norm",
    "attn.inner_attn_ln": "attn.norm",
}
_LAYER = re.compile(r"^(blocks\.\d+)\.(" + "|".join(map(re.escape, _LAYERS)) + r")\.")
_BIAS = re.compile(r"^(blocks\.\d+\.attn)\.([qv])_bias$")
# The tables of fp16 files are off by as much.
_ROUNDING = 2e-3


class Eva02Format(Format):
    """See the module."""

    name = "eva02"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        gates = [n for n in ("blocks.0.mlp.w1.weight", "blocks.0.mlp.w12.weight") if n in names]
        if gates and "blocks.0.attn.q_bias" in names and "pos_embed" in names:
            return f"q_bias, pos_embed and {gates[0]}, as EVA-02 has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        names = checkpoint.tensors
        apart = "blocks.0.attn.q_proj.weight" in names
        for name, value in names.items():
            if name.endswith((_COSINES, _SINES)):
                renaming.drop(name, "sines and cosines of positions")
            elif name in _DECODER:
                renaming.take(name, f"decoder.{name}", value)
            else:
                renaming.take(name, in_backbone(_bare(name, apart)), value)
        pretrained = "lm_head.weight" in names or "mask_token" in names
        return Parsed(
            family="eva",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"rope": "eva02", "pool": _pool(names, pretrained), **_told_by_tables(names)},
            objective="eva02" if pretrained else "supervised",
            mean=CLIP_MEAN,
            std=CLIP_STD,
            colour_note="mean and std of CLIP, as EVA-02's data code has them",
        )


def _bare(name: str, apart: bool) -> str:
    """Return the name in timm's encoder."""
    name = _LAYER.sub(lambda found: f"{found[1]}.{_LAYERS[found[2]]}.", name)
    return _BIAS.sub(r"\1.\2_proj.bias", name) if apart else name


def _pool(names: Mapping[str, Tensor], pretrained: bool) -> str:
    """Fine-tuning puts a fresh fc_norm in the place of the pre-trained norm."""
    return "mean_fc_norm" if pretrained or "fc_norm.weight" in names else "class_token"


def _told_by_tables(names: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return heads and grid of pre-training as the file's own tables have them, if it has any.

    Raises:
        LoadError: tables that are not those of EVA-02's rule (rope.py), or of another grid than the
            position table.
    """
    cosines = [name for name in names if name.endswith(_COSINES)]
    sines = [name.removesuffix(_COSINES) + _SINES for name in cosines]
    pairs = [(c, s) for c, s in zip(cosines, sines, strict=True) if s in names]
    if not pairs:
        return {}
    cosine, sine = (names[name] for name in pairs[0])
    side = round(len(cosine) ** 0.5)
    if cosine.ndim != 2 or sine.shape != cosine.shape or side < 2 or side**2 != len(cosine):
        raise _odd(pairs[0][0], f"has shape {tuple(cosine.shape)}")
    if names["pos_embed"].shape[1:2] != (side**2 + 1,):
        raise _odd(pairs[0][0], f"is of a {side}x{side} grid, and pos_embed of another")
    # One step to the right turns the first channel of the second half by the step's length.
    half = cosine.shape[1] // 2
    step = float(torch.atan2(sine[1, half], cosine[1, half])) if half else 0.0
    grid = max(1, round(step * side))
    angles = _angles(side, grid, cosine.shape[1])
    for name, values in names.items():
        if name.endswith((_COSINES, _SINES)):
            wanted = angles.cos() if name.endswith(_COSINES) else angles.sin()
            if values.shape != wanted.shape or (values - wanted).abs().max() > _ROUNDING:
                raise _odd(name, f"is not the table of a {grid}x{grid} grid spread over {side}")
    width = names["pos_embed"].shape[-1]
    return {"rope_grid": (grid, grid), "num_heads": max(1, width // cosine.shape[1])}


def _angles(side: int, grid: int, channels: int) -> Tensor:
    """Return EVA-02's rotary angles (side * side, channels): rows turn the first half of them."""
    axis = channels // 2
    frequencies = 10000 ** -(torch.arange(0, axis, 2, dtype=torch.float64) / max(axis, 1))
    steps = torch.arange(side, dtype=torch.float64) / side * grid
    turns = torch.outer(steps, frequencies).repeat_interleave(2, dim=1)
    rows = turns.repeat_interleave(side, dim=0)
    return torch.cat([rows, turns.repeat(side, 1)], dim=1).float()


def _odd(name: str, why: str) -> LoadError:
    return LoadError(
        f"the file's {name} {why}; expected sines and cosines as EVA-02's code makes them: save "
        "the file without these tables, and give arch={'rope_grid': [rows, columns]}"
    )
