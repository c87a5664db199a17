"""The architecture of a SwinV2, and how it is read off a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backbones.errors import LoadError
from backbones.families.arch import ask, norm_note, read_fields
from backbones.families.contract import Arch, Described, Size, Tensors
from backbones.families.stage_arch import (
    BLOCK,
    NORM_EPS,
    StageArch,
    Stages,
    checked,
    heads_of,
    read_off,
    size_by_rule,
)
from backbones.families.windows import Windows

VARIANTS = ("swin", "mim_depth")
MIM_DEPTH_EPS = 1e-6
LEFT_OUT = "final norm of pre-training, which MIM-Depth-Estimation does not load"


@dataclass(frozen=True)
class SwinV2Arch(StageArch):
    """A SwinV2; see StageArch for the fields that Swin has, too.

    Attributes:
        pretrained_window_size: side of the windows whose offsets the bias MLP was trained on, as
            really used, by stage; 0 for the one in use.
        variant: "swin" (Swin-Transformer's code), or "mim_depth" (MIM-Depth-Estimation's: windows
            never shrink, a stage shifts or not whatever its size, and the final norm is its own).
        use_shift: whether a stage's odd blocks shift, 1 or 0, by stage.
    """

    pretrained_window_size: Stages = (0,)
    variant: str = "swin"
    use_shift: Stages = (1,)

    @property
    def norm(self) -> str:
        # The dense models norm the maps that they give, here the last one.
        return f"norm{len(self.depths) - 1}" if self.variant == "mim_depth" else "norm"

    def by_rule(self, size: Size) -> Stages:
        """As StageArch says, but where a fixed window covered its map, it may grow with the map.

        The published code has one number for all stages: 16 at 256 pixels is 16, 16, 16 and 8. In
        a Swin that would ask for tables that the file does not have.
        """
        ruled = super().by_rule(size)
        if self.window_rule != "fixed" or self.variant == "mim_depth":
            return ruled
        maps = [min(grid) for grid in self.grids(self.image_size)]
        return tuple(max(ruled) if a >= b else a for a, b in zip(ruled, maps, strict=True))

    def windows(self, size: Size) -> Iterator[list[Windows]]:
        """Yield the windows of each stage's blocks; see the variants."""
        ruled = super().windows(size)
        for blocks, side, shifts in zip(ruled, self.sides(size), self.use_shift, strict=True):
            if self.variant == "mim_depth":
                blocks = [
                    Windows(each.grid, side, side // 2 * (i % 2)) for i, each in enumerate(blocks)
                ]
            yield blocks if shifts else [dataclasses.replace(each, shift=0) for each in blocks]


def by_variant(given: Arch) -> dict[str, Any]:
    """Return the defaults that the variant decides.

    Raises:
        LoadError: there is no such variant.
    """
    variant = given.get("variant", "swin")
    if variant not in VARIANTS:
        raise LoadError(f"variant: expected {' or '.join(VARIANTS)}, got {variant!r}")
    if variant == "swin":
        return {"norm_eps": NORM_EPS}
    stages = len(given.get("depths", (0,) * 4))
    # As published: the first two stages shift (README of MIM-Depth-Estimation).
    return {"norm_eps": MIM_DEPTH_EPS, "use_shift": tuple(int(i < 2) for i in range(stages))}


def describe(tensors: Tensors, given: Arch) -> Described:
    """Return the architecture of a file; see Family.describe."""
    given = read_fields(SwinV2Arch, given)
    found = read_off(tensors)
    stages = len(found["depths"])
    found["num_heads"] = heads_of(tensors, stages, "logit_scale", ("heads", "1", "1"), 0)
    found["qkv_bias"] = f"{BLOCK.format(0, 0)}.attn.q_bias" in tensors
    found["trained_window"] = _trained(given)
    notes: tuple[str, ...] = ()
    if "pretrained_window_size" not in given:
        found["pretrained_window_size"] = found["trained_window"]
        notes += ("pretrained_window_size: the windows of the file's training, by the rule",)
    if "image_size" not in given:
        found["image_size"], more = size_by_rule({**found, **given})
        notes += more
    defaults = by_variant({**found, **given})
    arch = checked(SwinV2Arch, {**found, **defaults, **given})
    notes += norm_note(given, arch.norm_eps)
    if "use_shift" in defaults and "use_shift" not in given:
        notes += (f"use_shift={list(arch.use_shift)} as published, which no file tells",)
    if arch.norm == "norm" or "encoder.norm.weight" not in tensors:
        return Described(dataclasses.asdict(arch), notes)
    own = frozenset(f"encoder.{arch.norm}.{leaf}" for leaf in ("weight", "bias"))
    return Described(dataclasses.asdict(arch), notes, {LEFT_OUT: ("encoder.norm.",)}, own)


def _trained(given: Arch) -> Stages:
    """Return the windows in training, as a buffer or the user tells.

    Raises:
        LoadError: neither does.
    """
    told: Stages = given.get("trained_window") or given.get("window_size", (0,))
    if not all(told):
        raise ask("window_size", "none of its buffers does")
    return told
