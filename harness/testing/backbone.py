"""What every encoder must do, whichever package it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from backbones.conformity import (
    check_description,
    check_layers,
    check_maps,
    check_repeatable,
    check_vectors,
    holds,
)
from backbones.errors import LoadError

if TYPE_CHECKING:
    from backbones import Backbone

ROUNDING = 1e-4
"""Largest relative difference that another batch size may make: rounding in other matrix products.
A leak between samples is a thousand times larger."""


def check_backbone(backbone: Backbone) -> None:
    """Check an encoder against the contract; it must be in evaluation mode, on the CPU.

    Raises:
        AssertionError: with the rule that is broken.
    """
    height, width = backbone.input_size
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    images[1] *= 0.25  # Unlike the other: statistics of a batch, if any are used, tell.
    with torch.no_grad():
        check_description(backbone)
        check_maps(backbone, images)
        check_vectors(backbone, images)
        check_repeatable(backbone, images)
        _check_alone(backbone, images)
        _check_attention(backbone, images)
    check_layers(backbone)
    _check_gradients(backbone, images)


def _check_alone(backbone: Backbone, images: Tensor) -> None:
    both = backbone.encode(images)
    alone = backbone.encode(images[:1])
    difference = float((alone - both[:1]).abs().max() / both.abs().max())
    holds(difference < ROUNDING, f"a sample's features depend on it alone, off by {difference:.1e}")
    other = float((both[0] - both[1]).abs().max())
    holds(other > 0, "different images give different features")


def _check_attention(backbone: Backbone, images: Tensor) -> None:
    sides = torch.tensor([images.shape[3], images.shape[2]])
    try:
        maps = backbone.attention(images)
    except LoadError as error:
        said = str(error)
        holds("no attention" in said and "\n" not in said, "without attention it says so, one line")
        return
    for found in maps:
        total = found.probabilities.sum(-1)
        # Rows of a softmax in float32 add up to 1 within some 1e-6.
        holds(bool((total - 1).abs().max() < 1e-4), "attention rows add up to 1")
        queries, keys = found.probabilities.shape[-2:]
        for places, count in ((found.query_positions, queries), (found.key_positions, keys)):
            holds(tuple(places.shape) == (count, 2), "each query and key has a position (x,y)")
            known = places[~places.isnan().any(-1)]
            inside = ((known >= 0) & (known <= sides)).all()
            holds(bool(inside), "positions are pixels of the input")


def _check_gradients(backbone: Backbone, images: Tensor) -> None:
    wanted = [(name, p.requires_grad) for name, p in backbone.named_parameters()]
    try:
        backbone.requires_grad_(True)
        backbone.zero_grad(set_to_none=True)
        torch.autograd.backward(backbone.encode(images).square().sum())
        without = {name for name, p in backbone.named_parameters() if p.grad is None}
        unused = backbone.unused_names("encode")
        holds(without == unused, f"unused_names tells what gets no gradient: {without ^ unused}")
    finally:
        backbone.zero_grad(set_to_none=True)
        for (_, needed), parameter in zip(wanted, backbone.parameters(), strict=True):
            parameter.requires_grad_(needed)
