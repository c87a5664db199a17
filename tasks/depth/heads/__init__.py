"""What is put on an encoder's maps. Every head gives metres (B,1,h,w), above 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.depth.heads.contract import Head
from tasks.depth.heads.deconvolution import DeconvolutionHead
from tasks.depth.heads.dpt import DPTHead
from tasks.depth.heads.linear import LinearHead
from tasks.depth.heads.multiscale import MultiscaleHead

if TYPE_CHECKING:
    from backbones import FeatureInfo
    from tasks.depth.recipe import DepthRecipe

SEVERAL = ("dpt", "multiscale")
"""Heads that get four maps; the others get the last one."""


def build(recipe: DepthRecipe, infos: tuple[FeatureInfo, ...]) -> Head:
    """The head of a recipe that was fitted to the encoder, for maps of these channels and strides,
    finest first; not initialised."""
    head, (nearest, farthest) = recipe.head, recipe.reach
    if head.type == "deconvolution":
        return DeconvolutionHead(infos[-1], head.filters, head.channels, farthest, head.init_std)
    if head.type == "dpt":
        return DPTHead(infos, head.channels, farthest)
    if head.type == "linear":
        return LinearHead(infos[-1].channels, head.bins, nearest, farthest)
    return MultiscaleHead(infos, head.channels, head.bins, nearest, farthest)
