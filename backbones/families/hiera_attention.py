"""The attention of a Hiera, in its mask units: out of its order of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from timm.models.hiera import MaskUnitAttention
from torch import Tensor

from backbones.contract import WindowAttention
from backbones.families.contract import Size
from backbones.families.hiera_arch import HieraArch
from backbones.families.hiera_encoder import HieraEncoder
from backbones.families.positions import centres
from backbones.families.windows import with_padding


class Units(NamedTuple):
    """The attention of a block in mask units, or in one window where it is over the map.

    Attributes:
        found: the attention.
        queries, keys: see `windows.over_the_map`.
    """

    found: WindowAttention
    queries: Tensor
    keys: Tensor


def attention_in_units(
    encoder: HieraEncoder, arch: HieraArch, size: Size, tokens: Tensor
) -> Iterator[Units]:
    """Yield the attention of one block after another.

    Args:
        encoder: whose.
        arch: its architecture.
        size: (H,W) of the images.
        tokens: their patch embeddings (B,N,C), in the order of the blocks.
    """
    joined: list[Tensor] = []
    layers = encoder.every_block()
    hooks = [
        block.attn.qkv.register_forward_hook(lambda *seen: joined.append(seen[2]))
        for block in layers
    ]
    try:
        for number, (stage, _) in enumerate(encoder.run(tokens)):
            attention = layers[number].attn
            pooled = attention.q_stride > 1
            inner = probabilities(attention, joined.pop())
            units = inner.shape[1]
            queries, query_places = _map(encoder, arch, size, stage, number, units)
            keys, key_places = _map(encoder, arch, size, stage - pooled, number - pooled, units)
            real = [~places[..., 0].isnan() for places in (query_places, key_places)]
            allowed = real[0].unsqueeze(2) & real[1].unsqueeze(1)
            here = inner.device
            places = (query_places.to(here), key_places.to(here))
            found = WindowAttention(number, stage, inner, *places, allowed.to(here), 0)
            yield Units(found, queries, keys)
    finally:
        for hook in hooks:
            hook.remove()


def _map(
    encoder: HieraEncoder, arch: HieraArch, size: Size, stage: int, block: int, units: int
) -> tuple[Tensor, Tensor]:
    """Return the number of each token of the map after a block, (units,N), those of the image in
    raster order and then the padding; and their places (units,N,2), as in AttentionMap."""
    tokens = encoder.places(block)
    rows, columns = grid = arch.cells(size, stage)
    inside = torch.zeros_like(tokens, dtype=torch.bool)
    inside[:rows, :columns] = True
    order = torch.cat([tokens[inside], tokens[~inside]])
    # Tokens of a unit are `units` apart.
    numbers = order.argsort().view(-1, units).transpose(0, 1)
    places = centres(grid, arch.strides[stage], size)
    return numbers, with_padding(places, len(order))[numbers]


def probabilities(attention: MaskUnitAttention, joined: Tensor) -> Tensor:
    """Return what a block's attention gives each query of each key, (B,units,heads,Q,K), one unit
    where it is over the map.

    Args:
        attention: of the block.
        joined: queries, keys and values (B,N,3C), in the order of its tokens.
    """
    count, pooling = joined.shape[1], attention.q_stride
    units = count // (pooling * attention.window_size) if attention.use_mask_unit_attn else 1
    qkv = joined.view(len(joined), -1, units, 3, attention.heads, attention.head_dim)
    query, key, _ = qkv.permute(3, 0, 2, 4, 1, 5).unbind(0)
    if pooling > 1:
        query = query.view(*query.shape[:3], pooling, -1, query.shape[-1]).amax(dim=3)
    found: Tensor = ((query * attention.scale) @ key.transpose(-1, -2)).softmax(dim=-1)
    return found
