"""The rules that every encoder keeps and that cost next to nothing to check.

`backbones.load` checks encoders of other packages against them each time; `harness.testing` adds
what costs more. Each function raises BrokenRule with the rule that is broken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backbones.contract import Backbone, BackboneSpec, FeatureInfo
from backbones.layer_rules import RULES

PARTS = ("encoder.", "fc_norm.", "decoder.", "head.")


class BrokenRule(AssertionError):
    """A rule that does not hold, in words."""


def holds(condition: bool, rule: str) -> None:
    """Raise BrokenRule unless the condition is true, also under `python -O`."""
    if not condition:
        raise BrokenRule(rule)


def check_cheaply(backbone: Backbone) -> None:
    """Check description, layers, and the maps of one image."""
    height, width = backbone.input_size
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    check_description(backbone)
    check_layers(backbone)
    with torch.no_grad():
        check_maps(backbone, image)
        check_vectors(backbone, image)
        check_repeatable(backbone, image)


def check_description(backbone: Backbone) -> None:
    """Check `spec`, `feature_info`, and how parameters are named and kept."""
    spec, infos = backbone.spec, backbone.feature_info
    holds(isinstance(spec, BackboneSpec), "spec is a BackboneSpec")
    for field in ("name", "family", "objective", "licence", "data"):
        holds(bool(getattr(spec, field)), f"spec.{field} says something")
    holds(len(spec.mean) == len(spec.std) == 3, "mean and std have three floats each")
    holds(all(s > 0 for s in spec.std), "std is positive")
    described = isinstance(infos, tuple) and all(isinstance(info, FeatureInfo) for info in infos)
    holds(described and len(infos) > 0, "feature_info is a tuple of FeatureInfo, one for each map")
    names = [name for name, _ in backbone.named_parameters()]
    holds(any(name.startswith("encoder.") for name in names), "parameters are named encoder.*")
    beside = [name for name in names if not name.startswith(PARTS)]
    holds(not beside, f"parameters are named {'*, '.join(PARTS)}*; not so {', '.join(beside[:3])}")
    plain = all(p.dtype == torch.float32 and p.device.type == "cpu" for p in backbone.parameters())
    holds(plain, "parameters are float32 and on the CPU")
    holds(not backbone.training, "an encoder comes in evaluation mode")
    holds(
        backbone.parameters_sha256() == backbone.loaded_sha256,
        "loaded_sha256 is the hash of the parameters as loaded",
    )


def check_maps(backbone: Backbone, images: Tensor) -> None:
    """Check that `forward` gives what `feature_info` says."""
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


def check_vectors(backbone: Backbone, images: Tensor) -> None:
    """Check the shapes that `encode`, `pooled` and `blocks` give."""
    channels = backbone.feature_info[-1].channels
    encoded, pooled = backbone.encode(images), backbone.pooled(images)
    holds(encoded.ndim == 4 and encoded.shape[1] == channels, "encode gives (B,C,h,w)")
    expected = (len(images), backbone.pooled_width)
    got = tuple(pooled.shape)
    holds(got == expected, f"pooled gives (B,C), here {expected}, got {got}")
    blocks = backbone.blocks(images)
    holds(len(blocks) > 0, "blocks gives the tokens after every block")
    holds(all(len(b) == len(images) for b in blocks), "tokens have the batch dimension first")


def check_repeatable(backbone: Backbone, images: Tensor) -> None:
    """Check that features are a function of the images alone."""
    before = torch.get_rng_state()
    first = backbone.encode(images)
    holds(torch.equal(first, backbone.encode(images)), "the same images give the same features")
    holds(torch.equal(before, torch.get_rng_state()), "evaluation draws no random numbers")


def check_layers(backbone: Backbone) -> None:
    """Check `layer_ids` and `last_layer`, under every rule, and `unused_names`."""
    names = {name for name, _ in backbone.named_parameters()}
    for rule in (None, *RULES):
        layers = backbone.layer_ids(rule)
        wrong = ", ".join(sorted(set(layers) ^ names)[:3])
        holds(not wrong, f"layer_ids numbers every parameter, and nothing else; not so {wrong}")
        holds(min(layers.values()) >= 0, "layer numbers begin at 0")
        holds(max(layers.values()) <= backbone.last_layer_of(rule), "no layer is after last_layer")
    holds(backbone.unused_names("encode") <= names, "unused_names are names of parameters")
