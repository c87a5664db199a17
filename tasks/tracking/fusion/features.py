"""Which map of an encoder the fusion sees, and which parameters that leaves without a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from tasks.contract import RecipeError

if TYPE_CHECKING:
    from backbones import Backbone


class Encoder(Protocol):
    """What is asked of an encoder at either size."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]: ...

    def encode(self, images: Tensor) -> Tensor: ...


def chosen(backbone: Backbone, stride: int) -> int | None:
    """The number of a hierarchical encoder's map of a stride in pixels; None for a plain encoder,
    which has one map.

    Raises:
        RecipeError: there is no such map.
    """
    strides = [info.stride for info in backbone.feature_info]
    if len(strides) == 1:
        return None
    if stride not in strides:
        listed = ", ".join(map(str, strides))
        raise RecipeError(
            f"{backbone.spec.name} has maps of stride {listed}, not {stride}: set model.stride to "
            "one of them"
        )
    return strides.index(stride)


def grid(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of the map of an image of a size in pixels; the last ones may stick out."""
    return -(-size[0] // stride), -(-size[1] // stride)


def read(encoder: Encoder, images: Tensor, number: int | None) -> Tensor:
    """Tokens (B,h*w,C) in raster order of images (B,3,H,W) in [0,1]: of a map without norm, or of a
    plain encoder's with the file's final norm."""
    found = encoder.encode(images) if number is None else encoder.forward(images)[number]
    return found.flatten(2).transpose(1, 2)


def unused(backbone: Backbone, number: int | None) -> set[str]:
    """Names of the encoder's parameters that get no gradient from what `read` gives."""
    if number is None:
        return backbone.unused_names("encode")
    named = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    training = backbone.training
    blank = torch.zeros(1, 3, *backbone.input_size, device=backbone.mean.device)
    with torch.enable_grad():
        total = read(backbone.eval(), blank, number).sum()
        found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    backbone.train(training)
    return {name for name, gradient in zip(named, found, strict=True) if gradient is None}
