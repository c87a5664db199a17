"""The attention of a Hiera, out of its order of tokens and its mask units into the whole map."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from timm.models.hiera import MaskUnitAttention
from torch import Tensor

from backbones.contract import AttentionMap
from backbones.families.contract import Size
from backbones.families.hiera_arch import HieraArch
from backbones.families.hiera_encoder import HieraEncoder


def attention_maps(
    encoder: HieraEncoder, arch: HieraArch, size: Size, tokens: Tensor
) -> Iterator[AttentionMap]:
    """Yield the attention of one block after another, over the whole map.

    Args:
        encoder: whose.
        arch: its architecture.
        size: (H,W) of the images.
        tokens: their patch embeddings (B,N,C), in the order of the blocks.
    """
    inputs: list[Tensor] = []
    layers = encoder.every_block()
    hooks = [
        block.attn.register_forward_pre_hook(lambda _, found: inputs.append(found[0]))
        for block in layers
    ]
    try:
        before = 0
        for number, (stage, _) in enumerate(encoder.run(tokens)):
            attention = layers[number].attn
            pooled = attention.q_stride > 1
            queries, places = _order(encoder, arch, size, stage, number)
            source = before if pooled else stage
            keys, key_places = _order(encoder, arch, size, source, number - pooled)
            rows, columns = arch.cells(size, stage)
            whole = attention_probabilities(attention, inputs.pop())
            weights = whole[:, :, queries[: rows * columns].to(whole.device)]
            yield AttentionMap(
                number,
                stage,
                weights[:, :, :, keys.to(whole.device)],
                places[: rows * columns].to(whole.device),
                key_places.to(whole.device),
            )
            before = stage
    finally:
        for hook in hooks:
            hook.remove()


def _order(
    encoder: HieraEncoder, arch: HieraArch, size: Size, stage: int, block: int
) -> tuple[Tensor, Tensor]:
    """Return the tokens of a map, those of the image in raster order and then the padding, and
    their places (N,2) as in AttentionMap."""
    tokens = encoder.places(block)
    inside = torch.zeros_like(tokens, dtype=torch.bool)
    rows, columns = arch.cells(size, stage)
    inside[:rows, :columns] = True
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    centres = (torch.stack([x.flatten(), y.flatten()], dim=1) + 0.5) * arch.strides[stage]
    places = torch.full((tokens.numel(), 2), torch.nan)
    places[: len(centres)] = centres.minimum(torch.tensor([size[1], size[0]]))
    return torch.cat([tokens[inside], tokens[~inside]]), places


def attention_probabilities(attention: MaskUnitAttention, tokens: Tensor) -> Tensor:
    """Return what a block's attention gives each query of each key, in the order of its tokens.

    Args:
        attention: of the block.
        tokens: its input (B,N,C).

    Returns:
        (B,heads,Q,K); rows add up to 1, keys of other mask units have 0.
    """
    count, pooling = tokens.shape[1], attention.q_stride
    units = count // (pooling * attention.window_size) if attention.use_mask_unit_attn else 1
    qkv = attention.qkv(tokens).unflatten(-1, (3, attention.heads, -1))
    # (B,K,heads,C) to (B,heads,unit,K/unit,C): tokens of a unit are `units` apart.
    query, key = (
        qkv[:, :, i].transpose(1, 2).unflatten(2, (-1, units)).transpose(2, 3) for i in (0, 1)
    )
    if pooling > 1:
        query = query.unflatten(3, (pooling, -1)).amax(dim=3)
    inner = ((query * attention.scale) @ key.transpose(-1, -2)).softmax(dim=-1)
    whole: Tensor = inner.new_zeros(*inner.shape[:2], inner.shape[3], units, inner.shape[4], units)
    each = torch.arange(units)
    # Indices apart from each other come first: (units,B,heads,Q/unit,K/unit).
    whole[:, :, :, each, :, each] = inner.permute(2, 0, 1, 3, 4)
    return whole.flatten(4, 5).flatten(2, 3)
