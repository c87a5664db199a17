"""What the published layouts of Swin and SwinV2 have in common: names, and what buffers tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from backbones.errors import LoadError
from backbones.formats.contract import Renaming
from backbones.formats.timm import is_index_buffer

_MERGING = re.compile(r"^layers\.(\d+)\.downsample\.")
_BIAS_MLP = re.compile(r"^(layers\.\d+\.blocks\.\d+\.attn)\.rpe_mlp\.")
_BLOCK = re.compile(r"layers\.(\d+)\.blocks\.")


def take(renaming: Renaming, old: str, own: str, value: Tensor) -> None:
    """Take an encoder's tensor over, or drop it if it is a function of image and window size.

    Args:
        renaming: where to.
        old: name in the file.
        own: the same without the layout's prefix.
        value: the tensor.
    """
    if is_index_buffer(own):
        renaming.drop(old, "index buffer")
    else:
        renaming.take(old, f"encoder.{ours(own)}", value)


def ours(own: str) -> str:
    """Return our name: merging stands in the stage that it leads to, the bias MLP is `cpb_mlp`."""
    moved = _MERGING.sub(lambda m: f"layers.{int(m[1]) + 1}.downsample.", own, count=1)
    return _BIAS_MLP.sub(r"\1.cpb_mlp.", moved, count=1)


def bare(tensors: Mapping[str, Tensor], prefix: str = "encoder.") -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    begun = {name: value for name, value in tensors.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in begun.items()}


def is_second(names: Mapping[str, Tensor]) -> bool:
    """Whether it is a SwinV2; see `has_stages`."""
    return "layers.0.blocks.0.attn.logit_scale" in names


def has_stages(names: Mapping[str, Tensor]) -> bool:
    """Whether names without prefix are those of a Swin or SwinV2."""
    return "patch_embed.proj.weight" in names and "layers.0.blocks.0.attn.qkv.weight" in names


def told_by_buffers(names: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the fields of the architecture that the file's buffers tell: windows, image size.

    Args:
        names: tensors of the file without prefix.

    Raises:
        LoadError: buffers of one stage, or of some and not of others, that contradict each other.
    """
    told: dict[str, Any] = {}
    sides = _by_stage(names, "relative_position_index", _side)
    mask = names.get("layers.0.blocks.1.attn_mask")
    patch = names.get("patch_embed.proj.weight")
    if sides and mask is not None and patch is not None and patch.ndim == 4:
        count = round(mask.shape[0] ** 0.5) if mask.ndim else 0
        if mask.shape == (count**2, sides[0] ** 2, sides[0] ** 2):
            pixels = count * sides[0] * int(patch.shape[-1])
            told["image_size"] = (pixels, pixels)
    if is_second(names):
        before = _by_stage(names, "relative_coords_table", _pretrained)
        told |= {"trained_window": sides} if sides else {}
        told |= {"pretrained_window_size": before} if before else {}
    return told


def _by_stage(
    names: Mapping[str, Tensor], leaf: str, read: Callable[[Tensor], int]
) -> tuple[int, ...]:
    """Return what a buffer of each stage's blocks tells; nothing if no block has it."""
    told: dict[int, int] = {}
    for name, buffer in names.items():
        found = _BLOCK.match(name)
        if found and name.endswith(f".attn.{leaf}"):
            value = read(buffer)
            if told.setdefault(int(found[1]), value) != value:
                raise LoadError(f"the file's {name} is of another window than the stage's others")
    stages = {int(m[1]) for m in map(_BLOCK.match, names) if m}
    if told and (missing := stages - set(told)):
        raise LoadError(f"the file has a {leaf} in some stages, but not in layers.{min(missing)}")
    return tuple(told[stage] for stage in sorted(told))


def _side(index: Tensor) -> int:
    """Return the side of a window from what numbers its pairs, (places, places)."""
    side = round(len(index) ** 0.5) if index.ndim == 2 else 0
    if not side or index.shape != (side**2, side**2):
        raise _unread("relative_position_index", index, "(places, places) of a square window")
    return side


def _pretrained(table: Tensor) -> int:
    """Return the window by which SwinV2's coordinates (1, 2w-1, 2w-1, 2) were divided.

    The farthest offset w-1 has the coordinate log2(8 (w-1) / (p-1) + 1) / log2(8) for a
    pre-training window of p, which is solved for p.
    """
    square = table.ndim == 4 and table.shape == (1, table.shape[1], table.shape[1], 2)
    if not square or not table.numel() or not table.is_floating_point():
        raise _unread("relative_coords_table", table, "(1, offsets, offsets, 2)")
    reach = 2 ** min(3 * float(table.max()), 64.0) - 1
    return round(4 * (table.shape[1] - 1) / reach + 1) if reach > 0 else 1


def _unread(leaf: str, found: Tensor, expected: str) -> LoadError:
    return LoadError(
        f"the file's {leaf} has shape {tuple(found.shape)}, expected {expected}; save the file "
        "without it and give arch={'window_size': ...}"
    )
