"""The architecture of a Swin or SwinV2: what both have in common, and how it is read off a file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from backbones.errors import LoadError
from backbones.families.arch import (
    FC1,
    HEAD,
    PATCH,
    check_heads,
    check_norm,
    depth_of,
    from_dict,
    need,
    rows_of,
    square_side,
)
from backbones.families.contract import Arch, Size, Tensors
from backbones.families.positions import Grid, grid_of
from backbones.families.windows import Windows

Stages = tuple[int, ...]

NORM_EPS = 1e-5
WINDOW_RULES = ("fixed", "proportional")
BLOCK = "encoder.layers.{}.blocks.{}"


@dataclass(frozen=True)
class StageArch:
    """What Swin and SwinV2 have in common. Fields by stage take one number for all, too.

    Attributes:
        image_size: (height, width) of the training images in pixels.
        embed_dim: width of the first stage; each further one is twice as wide.
        depths, num_heads: by stage.
        trained_window: side of the windows in training, as really used, by stage.
        patch_size: side of a patch in pixels.
        window_size: side of the windows at the size in use, by stage; 0 for the rule.
        window_rule: "fixed" (as in training), or "proportional" to the shorter side of the images.
        mlp_ratio: units of the MLP over the width.
        patch_norm: a norm after the patch embedding.
        num_classes: outputs of the file's classifier, 0 without.
        decoder_stride: pixels a cell of SimMIM's decoder, 0 without.
    """

    image_size: Size
    embed_dim: int
    depths: Stages
    num_heads: Stages
    trained_window: Stages
    patch_size: int = 4
    window_size: Stages = (0,)
    window_rule: str = "fixed"
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    patch_norm: bool = True
    norm_eps: float = NORM_EPS
    num_classes: int = 0
    decoder_stride: int = 0

    @property
    def norm(self) -> str:
        """The name of the final norm."""
        return "norm"

    @property
    def widths(self) -> Stages:
        """Channels of each stage's map."""
        return tuple(self.embed_dim * 2**i for i in range(len(self.depths)))

    @property
    def strides(self) -> Stages:
        """Input pixels of each stage's cells."""
        return tuple(self.patch_size * 2**i for i in range(len(self.depths)))

    def grids(self, size: Size) -> tuple[Grid, ...]:
        """Rows and columns of each stage's map, for images of a size."""
        return tuple(grid_of(size, stride) for stride in self.strides)

    def sides(self, size: Size) -> Stages:
        """Sides of the windows of each stage, for images of a size: as given, else by the rule."""
        return tuple(a or b for a, b in zip(self.window_size, self.by_rule(size), strict=True))

    def by_rule(self, size: Size) -> Stages:
        """Sides of the windows of each stage by the rule, before they are fitted to the map."""
        if self.window_rule == "fixed":
            return self.trained_window
        growth = min(size) / min(self.image_size)
        return tuple(max(1, int(side * growth + 0.5)) for side in self.trained_window)

    def windows(self, size: Size) -> Iterator[list[Windows]]:
        """Yield the windows of each stage's blocks, for images of a size.

        A window is no larger than the map's shorter side; where it covers that, nothing shifts.
        """
        for side, depth, grid in zip(self.sides(size), self.depths, self.grids(size), strict=True):
            used = min(side, *grid)
            shift = used // 2 if used < min(grid) else 0
            yield [Windows(grid, used, shift * (i % 2)) for i in range(depth)]

    def as_run(self, size: Size) -> dict[str, Any]:
        """Return the fields of an encoder that was trained, from now on, at a size."""
        used = tuple(blocks[0].side for blocks in self.windows(size))
        return {**dataclasses.asdict(self), "image_size": size, "trained_window": used}


Built = TypeVar("Built", bound=StageArch)


def checked(kind: type[Built], arch: Arch) -> Built:
    """Build the architecture.

    Raises:
        LoadError: fields that are wrong or do not hang together.
    """
    built = from_dict(kind, arch)
    count = len(built.depths)
    by_stage: dict[str, Any] = dict(_by_stage(built, count))
    built = dataclasses.replace(built, **by_stage)
    check_norm(built.norm_eps)
    for width, heads in zip(built.widths, built.num_heads, strict=True):
        check_heads(width, heads)
    if built.mlp_ratio * built.embed_dim < 1:
        raise LoadError(f"mlp_ratio: expected at least one unit, got {built.mlp_ratio}")
    if built.window_rule not in WINDOW_RULES:
        known = " or ".join(WINDOW_RULES)
        raise LoadError(f"window_rule: expected {known}, got {built.window_rule!r}")
    if built.decoder_stride not in (0, built.strides[-1]):
        raise LoadError(
            f"the decoder gives {built.decoder_stride} pixels a cell, "
            f"the last stage's cells have {built.strides[-1]}"
        )
    return built


def _by_stage(built: StageArch, count: int) -> Iterator[tuple[str, Stages]]:
    """Yield every field by stage with one number for each."""
    for field in dataclasses.fields(built):
        if str(field.type) != "Stages":
            continue
        given: Stages = getattr(built, field.name)
        if len(given) not in (1, count):
            raise LoadError(
                f"{field.name}: expected one number, or one for each of the {count} stages, "
                f"got {list(given)}"
            )
        yield field.name, given * count if len(given) == 1 else given


def read_off(tensors: Tensors) -> dict[str, Any]:
    """Return what the shapes of both families' tensors tell alike.

    Raises:
        LoadError: a tensor without which nothing can be read is missing or of another kind.
    """
    patch = need(tensors, "encoder.patch_embed.proj.weight", PATCH)
    stages = depth_of(tensors, "encoder.layers")
    width = int(patch.shape[0])
    fc1 = need(tensors, "encoder.layers.0.blocks.0.mlp.fc1.weight", FC1)
    outputs = rows_of(tensors, "decoder.conv.weight", ("3 x stride x stride", "width", "1", "1"))
    return {
        "patch_size": int(patch.shape[-1]),
        "embed_dim": width,
        "depths": tuple(depth_of(tensors, f"encoder.layers.{i}.blocks") for i in range(stages)),
        "mlp_ratio": fc1.shape[0] / width,
        "patch_norm": "encoder.patch_embed.norm.weight" in tensors,
        "num_classes": rows_of(tensors, "head.weight", HEAD),
        "decoder_stride": square_side(outputs // 3, "the decoder's cell") if outputs else 0,
    }


def size_by_rule(arch: Mapping[str, Any]) -> tuple[Size, tuple[str, ...]]:
    """Return the training size where nothing tells it, and a note.

    The published encoders are trained at the size at which the last stage is one window.
    """
    window, stages = arch["trained_window"][-1], len(arch["depths"])
    side = window * arch["patch_size"] * 2 ** (stages - 1)
    return (side, side), (f"image_size={side}: the last stage is one window, as published",)


def heads_by_rule(embed_dim: int, stages: int) -> Stages:
    """Return the heads of a new encoder: 32 channels each, as published."""
    return tuple(max(1, embed_dim // 32) * 2**i for i in range(stages))


def stage_of(name: str) -> int:
    """Return the stage of a block's parameter."""
    found = re.match(r"encoder\.layers\.(\d+)\.", name)
    if found is None:
        raise ValueError(f"{name} belongs to no stage")
    return int(found.group(1))


def heads_of(tensors: Tensors, stages: int, leaf: str, axes: tuple[str, ...], axis: int) -> Stages:
    """Return the heads of each stage, an extent of a tensor of its first block."""
    found = [need(tensors, f"{BLOCK.format(i, 0)}.attn.{leaf}", axes) for i in range(stages)]
    return tuple(int(tensor.shape[axis]) for tensor in found)


def window_side(table: Tensor, name: str) -> int:
    """Return the side of the window that a table of relative positions belongs to.

    Raises:
        LoadError: it belongs to no square window.
    """
    side: int = (round(len(table) ** 0.5) + 1) // 2
    if (2 * side - 1) ** 2 != len(table):
        raise LoadError(
            f"{name} has {len(table)} rows, expected those of a square window: 1, 9, 25, 49 ..."
        )
    return side
