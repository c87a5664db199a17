"""The maps of an encoder that a head gets: its last one, or four levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.contract import RecipeError

if TYPE_CHECKING:
    from backbones import Backbone, FeatureInfo

LEVELS = 4


def described(backbone: Backbone, several: bool) -> tuple[FeatureInfo, ...]:
    """Channels and stride of the maps that `read` gives.

    Raises:
        RecipeError: two or three maps where four are asked for.
    """
    infos = tuple(backbone.feature_info)
    if not several:
        return infos[-1:]
    if len(infos) == 1:
        return infos * LEVELS
    if len(infos) < LEVELS:
        raise RecipeError(
            f"{backbone.spec.name} has {len(infos)} maps, the head needs {LEVELS}: choose "
            "head.type=deconvolution or linear, which need the last one"
        )
    return infos[-LEVELS:]


def read(backbone: Backbone, images: Tensor, several: bool) -> list[Tensor]:
    """The last map after the file's final norm; or four levels without norm: of a hierarchical
    encoder its coarsest four maps, of a plain one the patches after four equally spaced blocks.

    Args:
        backbone: the encoder.
        images: (B,3,H,W) in [0,1].
        several: whether four are wanted.

    Returns:
        Maps (B,C_i,h_i,w_i), finest or first first.
    """
    if not several:
        return [backbone.encode(images)]
    if len(backbone.feature_info) > 1:
        return list(backbone(images)[-LEVELS:])
    blocks = backbone.blocks(images)
    chosen = [blocks[-(-len(blocks) * k // LEVELS) - 1] for k in range(1, LEVELS + 1)]
    stride = backbone.feature_info[-1].stride
    rows, columns = (-(-side // stride) for side in images.shape[2:])
    return [_as_map(tokens, rows, columns) for tokens in chosen]


def _as_map(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """(B,C,rows,columns) of tokens (B,P+N,C), prefix first, or of what is a map already."""
    if tokens.ndim == 4:
        return tokens
    patches = tokens[:, tokens.shape[1] - rows * columns :]
    return patches.transpose(1, 2).reshape(len(tokens), -1, rows, columns)


def unused(backbone: Backbone, several: bool) -> set[str]:
    """Names of the encoder's parameters that get no gradient from what `read` gives."""
    if not several:
        return backbone.unused_names("encode")
    if len(backbone.feature_info) > 1:
        return backbone.unused_names("forward")
    named = dict(backbone.named_parameters())
    blank = torch.zeros(1, 3, *backbone.input_size, device=backbone.mean.device)
    with torch.enable_grad():
        total = torch.stack([x.sum() for x in read(backbone, blank, several)]).sum()
        found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {name for name, gradient in zip(named, found, strict=True) if gradient is None}
