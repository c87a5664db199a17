"""EVA-02 and DINOv3 written out in float64, from tensors under their publishers' names.

Two blocks, three heads, patches of 8 pixels, square images. Each gives the tokens after each block.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

HEADS = 3
Tensors = dict[str, Tensor]


def eva02(tensors: Tensors, images: Tensor, grid: int) -> list[Tensor]:
    """EVA-02 (Fang et al., 2023, section 2), its rotary positions those of a grid x grid map."""
    t = {name: value.double() for name, value in tensors.items()}
    x = _embedded(t, images, ["cls_token"]) + t["pos_embed"]
    turns = eva02_turns(images.shape[-1] // 8, grid, x.shape[-1] // HEADS)
    found = []
    for i in range(2):
        block = f"blocks.{i}"
        y = _norm(t, f"{block}.norm1", x, 1e-6)
        if f"{block}.attn.qkv.weight" in t:
            weights = t[f"{block}.attn.qkv.weight"].chunk(3)
        else:
            weights = tuple(t[f"{block}.attn.{n}_proj.weight"] for n in "qkv")
        biases = (t[f"{block}.attn.q_bias"], None, t[f"{block}.attn.v_bias"])
        parts = [functional.linear(y, w, b) for w, b in zip(weights, biases, strict=True)]
        x = x + _linear(t, f"{block}.attn.proj", _attended(parts, turns, 1, halves=False))
        y, mlp = _norm(t, f"{block}.norm2", x, 1e-6), f"{block}.mlp"
        if f"{mlp}.w12.weight" in t:
            gate, value = _linear(t, f"{mlp}.w12", y).chunk(2, dim=-1)
            y = functional.silu(gate) * value
        else:
            y = functional.silu(_linear(t, f"{mlp}.w1", y)) * _linear(t, f"{mlp}.w2", y)
            y = _norm(t, f"{mlp}.ffn_ln", y, 1e-6)
        x = x + _linear(t, f"{mlp}.w3", y)
        found.append(x)
    return found


def dinov3(tensors: Tensors, images: Tensor) -> list[Tensor]:
    """DINOv3's ViT (Simeoni et al., 2025, section 3.2), with the periods of the file."""
    t = {name: value.double() for name, value in tensors.items()}
    x = _embedded(t, images, ["cls_token", "storage_tokens"])
    side, prefix = images.shape[-1] // 8, 1 + t["storage_tokens"].shape[1]
    axis = [2 * (i + 0.5) / side - 1 for i in range(side)]
    cells = [(y, x) for y in axis for x in axis]
    periods = t["rope_embed.periods"].tolist()
    turns = torch.tensor([[2 * math.pi * at / p for at in c for p in periods] for c in cells])
    found = []
    for i in range(2):
        block = f"blocks.{i}"
        y = _norm(t, f"{block}.norm1", x, 1e-5)
        bias = t[f"{block}.attn.qkv.bias"] * t[f"{block}.attn.qkv.bias_mask"]
        parts = list((y @ t[f"{block}.attn.qkv.weight"].T + bias).chunk(3, dim=-1))
        y = _linear(t, f"{block}.attn.proj", _attended(parts, turns, prefix, halves=True))
        x = x + y * t[f"{block}.ls1.gamma"]
        y, mlp = _norm(t, f"{block}.norm2", x, 1e-5), f"{block}.mlp"
        if f"{mlp}.w1.weight" in t:
            y = functional.silu(_linear(t, f"{mlp}.w1", y)) * _linear(t, f"{mlp}.w2", y)
            y = _linear(t, f"{mlp}.w3", y)
        else:
            y = _linear(t, f"{mlp}.fc2", functional.gelu(_linear(t, f"{mlp}.fc1", y)))
        x = x + y * t[f"{block}.ls2.gamma"]
        found.append(x)
    return found


def eva02_turns(side: int, grid: int, channels: int) -> Tensor:
    """The angle by which each pair of channels turns in each cell, in raster order."""
    frequencies = [10000 ** (-4 * i / channels) for i in range(channels // 4)]
    cells = [(y, x) for y in range(side) for x in range(side)]
    turns = [[at / side * grid * f for at in cell for f in frequencies] for cell in cells]
    return torch.tensor(turns, dtype=torch.float64)


def _embedded(t: Tensors, images: Tensor, prefix: list[str]) -> Tensor:
    x = functional.conv2d(images.double(), t["patch_embed.proj.weight"], stride=8)
    x = x.flatten(2).transpose(1, 2) + t["patch_embed.proj.bias"]
    return torch.cat([*(t[name].expand(len(x), -1, -1) for name in prefix), x], dim=1)


def _attended(parts: list[Tensor], turns: Tensor, prefix: int, halves: bool) -> Tensor:
    """Channels turn in pairs: neighbours, or the same of both halves of a head."""
    q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
    unit = torch.polar(torch.ones_like(turns), turns)

    def turned(x: Tensor) -> Tensor:
        y = x[:, :, prefix:]
        pairs = y.unflatten(-1, (2, -1)).mT if halves else y.unflatten(-1, (-1, 2))
        new = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * unit)
        return torch.cat([x[:, :, :prefix], (new.mT if halves else new).flatten(-2)], dim=2)

    scores = turned(q) @ turned(k).transpose(-1, -2) / q.shape[-1] ** 0.5
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def _norm(t: Tensors, name: str, x: Tensor, eps: float) -> Tensor:
    weight, bias = t[f"{name}.weight"], t[f"{name}.bias"]
    return functional.layer_norm(x, weight.shape, weight, bias, eps)


def _linear(t: Tensors, name: str, x: Tensor) -> Tensor:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]
