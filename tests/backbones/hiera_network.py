"""Hiera (Ryali et al., 2023) written out on maps in raster order, in float64, from tensors under
its publisher's names: with ordinary max-pooling and windows, no unrolled tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def hiera(
    tensors: dict[str, Tensor],
    images: Tensor,
    depths: Sequence[int],
    q_pool: int = 3,
    hidden: Tensor | None = None,
) -> list[Tensor]:
    """Return the map (B,C,h,w) after every block; one head in the first stage.

    Mask units in `hidden` (B,h,w) are never looked at; what the maps have there means nothing.
    """
    t = {name: value.double() for name, value in tensors.items()}
    if hidden is not None:
        images = images * ~_spread(hidden, 32).unsqueeze(1)
    stem = "patch_embed.proj"
    x = functional.conv2d(images.double(), t[f"{stem}.weight"], t[f"{stem}.bias"], 4, 3)
    x = x.permute(0, 2, 3, 1)
    x = x + t["pos_embed"].view(1, *x.shape[1:])
    found, number = [], 0
    for stage, depth in enumerate(depths):
        for i in range(depth):
            name, first = f"blocks.{number}", i == 0 and stage > 0
            y = _norm(t, f"{name}.norm1", x)
            pool = 2 if first and stage <= q_pool else 1
            if first:
                x = _pooled(_linear(t, f"{name}.proj", y), pool)
            source = stage - 1 if first else stage
            window = (8 >> min(source, q_pool)) if source < 2 else 0
            q, k, v = _linear(t, f"{name}.attn.qkv", y).chunk(3, dim=-1)
            unseen = None
            if hidden is not None and not window:
                unseen = _spread(hidden, k.shape[1] // hidden.shape[1]).flatten(1)
            y = _attended(_pooled(q, pool), k, v, 2**stage, window, pool, unseen)
            x = x + _linear(t, f"{name}.attn.proj", y)
            y = functional.gelu(_linear(t, f"{name}.mlp.fc1", _norm(t, f"{name}.norm2", x)))
            x = x + _linear(t, f"{name}.mlp.fc2", y)
            found.append(x.permute(0, 3, 1, 2))
            number += 1
    return found


def reconstruction(
    tensors: dict[str, Tensor], maps: Sequence[Tensor], hidden: Tensor, heads: int
) -> tuple[Tensor, Tensor]:
    """Return what MAE's decoder makes of the maps of stages 1, 2 and 4, stage 4 not being pooled:
    the normed sum of the stages (B,h,w,C), and the images (B,3,H,W)."""
    t = {name: value.double() for name, value in tensors.items()}
    total = maps[2]
    for i, stride in ((0, 4), (1, 2)):
        name = f"multi_scale_fusion_heads.{i}"
        total = total + functional.conv2d(
            maps[i], t[f"{name}.weight"], t[f"{name}.bias"], stride=stride
        )
    features = _norm(t, "encoder_norm", total.permute(0, 2, 3, 1))
    x = _linear(t, "decoder_embed", features)
    x = torch.where(_spread(hidden, 2).unsqueeze(-1), t["mask_token"][0], x)
    x = x + t["decoder_pos_embed"].view(1, *x.shape[1:])
    i = 0
    while f"decoder_blocks.{i}.norm1.weight" in t:
        name = f"decoder_blocks.{i}"
        q, k, v = _linear(t, f"{name}.attn.qkv", _norm(t, f"{name}.norm1", x)).chunk(3, dim=-1)
        x = x + _linear(t, f"{name}.attn.proj", _attended(q, k, v, heads, 0, 1))
        y = functional.gelu(_linear(t, f"{name}.mlp.fc1", _norm(t, f"{name}.norm2", x)))
        x, i = x + _linear(t, f"{name}.mlp.fc2", y), i + 1
    cells = _linear(t, "decoder_pred", _norm(t, "decoder_norm", x))
    # Values of a cell stand by colour first, then row and column.
    return features, functional.pixel_shuffle(cells.permute(0, 3, 1, 2), 16)


def _spread(hidden: Tensor, by: int) -> Tensor:
    return hidden.repeat_interleave(by, 1).repeat_interleave(by, 2)


def _attended(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    window: int,
    pool: int,
    unseen: Tensor | None = None,
) -> Tensor:
    """Attention of maps (B,h,w,C) in windows of the keys' map, or over the whole for 0."""
    rows, columns = k.shape[1:3]
    sides = (window, window) if window else (rows, columns)
    key, value = (_windows(m, sides).unflatten(-1, (heads, -1)).transpose(1, 2) for m in (k, v))
    reduced = (sides[0] // pool, sides[1] // pool)
    query = _windows(q, reduced).unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if unseen is not None:
        scores = scores.masked_fill(unseen[:, None, None], -torch.inf)
    weights = scores.softmax(-1)
    y = (weights @ value).transpose(1, 2).flatten(2)
    grid = (rows // sides[0], columns // sides[1])
    y = y.view(len(q), *grid, *reduced, -1).transpose(2, 3)
    return y.reshape(q.shape)


def _windows(m: Tensor, sides: tuple[int, int]) -> Tensor:
    m = m.unflatten(2, (-1, sides[1])).unflatten(1, (-1, sides[0])).transpose(2, 3)
    return m.flatten(3, 4).flatten(0, 2)


def _pooled(m: Tensor, pool: int) -> Tensor:
    return functional.max_pool2d(m.permute(0, 3, 1, 2), pool).permute(0, 2, 3, 1)


def _norm(t: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight, bias = t[f"{name}.weight"], t[f"{name}.bias"]
    return functional.layer_norm(x, weight.shape, weight, bias, 1e-6)


def _linear(t: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]
