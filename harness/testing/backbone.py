"""What every encoder must do, whichever package it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from backbones.errors import LoadError
from harness.testing.rules import holds

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
        _check_description(backbone)
        _check_maps(backbone, images)
        _check_vectors(backbone, images)
        _check_repeatable(backbone, images)
        _check_attention(backbone, images)
    _check_layers(backbone)
    _check_gradients(backbone, images)


def _check_description(backbone: Backbone) -> None:
    spec = backbone.spec
    for field in ("name", "family", "objective", "licence", "data"):
        holds(bool(getattr(spec, field)), f"spec.{field} says something")
    holds(len(spec.mean) == len(spec.std) == 3, "mean and std have three floats each")
    holds(all(s > 0 for s in spec.std), "std is positive")
    holds(not backbone.training, "an encoder comes in evaluation mode")
    holds(
        backbone.parameters_sha256() == backbone.loaded_sha256,
        "loaded_sha256 is the hash of the parameters as loaded",
    )


def _check_maps(backbone: Backbone, images: Tensor) -> None:
    maps = backbone(images)
    holds(isinstance(maps, tuple), "forward gives a tuple of maps")
    holds(len(maps) == len(backbone.feature_info), "feature_info describes each map")
    strides = [info.stride for info in backbone.feature_info]
    holds(strides == sorted(strides), "the finest map comes first")
    for found, info in zip(maps, backbone.feature_info, strict=True):
        cells = tuple(-(-side // info.stride) for side in images.shape[2:])
        expected = (len(images), info.channels, *cells)
        holds(tuple(found.shape) == expected, f"a map is {expected}, got {tuple(found.shape)}")
        holds(bool(found.isfinite().all()), "maps are finite")


def _check_vectors(backbone: Backbone, images: Tensor) -> None:
    channels = backbone.feature_info[-1].channels
    encoded, pooled = backbone.encode(images), backbone.pooled(images)
    holds(encoded.ndim == 4 and encoded.shape[1] == channels, "encode gives (B,C,h,w)")
    holds(tuple(pooled.shape) == (len(images), channels), "pooled gives (B,C)")
    blocks = backbone.blocks(images)
    holds(len(blocks) > 0, "blocks gives the tokens after every block")
    holds(all(len(b) == len(images) for b in blocks), "tokens have the batch dimension first")


def _check_repeatable(backbone: Backbone, images: Tensor) -> None:
    before = torch.get_rng_state()
    first = backbone.encode(images)
    holds(torch.equal(first, backbone.encode(images)), "the same images give the same features")
    holds(torch.equal(before, torch.get_rng_state()), "evaluation draws no random numbers")
    alone = backbone.encode(images[:1])
    difference = float((alone - first[:1]).abs().max() / first.abs().max())
    holds(difference < ROUNDING, f"a sample's features depend on it alone, off by {difference:.1e}")
    other = float((first[0] - first[1]).abs().max())
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


def _check_layers(backbone: Backbone) -> None:
    layers = backbone.layer_ids()
    names = {name for name, _ in backbone.named_parameters()}
    holds(set(layers) == names, "layer_ids numbers every parameter, and nothing else")
    holds(min(layers.values()) >= 0, "layer numbers begin at 0")
    holds(max(layers.values()) <= backbone.last_layer, "no layer comes after last_layer")


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
