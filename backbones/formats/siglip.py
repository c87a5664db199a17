"""Files of open_clip whose image tower is one of timm's, under `visual.trunk.`: SigLIP's above all.

SigLIP's networks are of google-research/big_vision, where GELU is the approximation by tanh, the
default of flax; timm and open_clip run these weights with the exact one
(`--set backbone.act=gelu`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed
from backbones.formats.timm import LATENT, TimmFormat, kind
from backbones.formats.towers import CLIP_MEAN, CLIP_STD, beside_the_tower

_TRUNK = "visual.trunk."
_HEAD = "visual.head."


class SiglipFormat(Format):
    """See the module. Towers of other networks than ViTs are refused."""

    name = "siglip"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        reason = TimmFormat().recognise(_trunk(checkpoint))
        if reason is None:
            return None
        return f"{_TRUNK}*, as open_clip has timm's towers; {reason}"

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        trunk = _trunk(checkpoint)
        if not trunk.tensors:
            raise LoadError(f"{checkpoint.path} has no image tower under {_TRUNK}")
        parsed = TimmFormat().parse(trunk)
        if kind(trunk) not in ("vit", "clip", "siglip"):
            raise LoadError(
                f"{checkpoint.path}: the image tower under {_TRUNK} is a {parsed.family}, expected "
                "a plain ViT; save the tensors of the tower alone, without that prefix, and give "
                "arch={'mean': [...], 'std': [...]}"
            )
        dropped = {rule: _long(names) for rule, names in parsed.dropped.items()}
        tensors = dict(parsed.tensors)
        origin = {new: _TRUNK + old for new, old in parsed.origin.items()}
        for name, value in checkpoint.tensors.items():
            if name.startswith(_TRUNK):
                continue
            rule = (
                "projection of the image tower"
                if name.startswith(_HEAD)
                else beside_the_tower(name)
            )
            if rule:
                dropped.setdefault(rule, []).append(name)
            else:
                tensors[f"encoder.{name}"], origin[f"encoder.{name}"] = value, name
        parsed = parsed if LATENT in trunk.tensors else _of_open_clip(parsed)
        return replace(
            parsed,
            tensors=tensors,
            origin=origin,
            joined={new: tuple(_long(olds)) for new, olds in parsed.joined.items()},
            dropped=dropped,
        )


def _of_open_clip(parsed: Parsed) -> Parsed:
    """Say what holds of towers that are not SigLIP's."""
    return replace(
        parsed,
        arch={**parsed.arch, "act": "gelu", "position_resize": "bicubic_antialias"},
        objective="clip",
        mean=CLIP_MEAN,
        std=CLIP_STD,
        colour_note="mean and std of CLIP, open_clip's default",
        notes=("GELU, as timm's towers have it in open_clip",),
    )


def _trunk(checkpoint: Checkpoint) -> Checkpoint:
    inside = {
        name.removeprefix(_TRUNK): value
        for name, value in checkpoint.tensors.items()
        if name.startswith(_TRUNK)
    }
    return replace(checkpoint, tensors=inside)


def _long(names: Iterable[str]) -> list[str]:
    return [_TRUNK + name for name in names]
