"""Checkpoints of facebookresearch/ConvNeXt and ConvNeXt-V2, fine-tuned and pre-trained (FCMAE).

What FCMAE's training writes has the encoder under `encoder.` and in the layout of sparse layers:
kernels without an axis for rows and columns, biases and scales with one axis more.
"""

from __future__ import annotations

import re
from math import isqrt

from torch import Tensor

from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming

KERNELS = "kernels of sparse layers laid out as those of dense ones"
VECTORS = "rows taken as vectors"

_PREFIX = "encoder."
_MARKS = ("downsample_layers.0.0.weight", "stages.0.0.pwconv1")
_RENAMED = (
    (re.compile(r"^downsample_layers\.0\."), "stem."),
    (re.compile(r"^downsample_layers\.(\d+)\.(\d+)\."), r"stages.\1.downsample.\2."),
    (re.compile(r"^stages\.(\d+)\.(\d+)\."), r"stages.\1.blocks.\2."),
)
_IN_BLOCK = (
    (re.compile(r"\.dwconv\."), ".conv_dw."),
    (re.compile(r"\.pwconv([12])\."), r".mlp.fc\1."),
    (re.compile(r"\.grn\.gamma$"), ".mlp.grn.weight"),
    (re.compile(r"\.grn\.beta$"), ".mlp.grn.bias"),
)
_SPARSE = re.compile(r"\.(?:ln|linear)(\.(?:weight|bias))$")
_DECODER = re.compile(r"^(proj|pred)\.|^mask_token$|^decoder\.(\d+)\.")


class ConvNextFormat(Format):
    """See the module."""

    name = "convnext"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        stem, mlp = _MARKS
        for prefix, kind in (("", "dense"), (_PREFIX, "FCMAE's, under encoder.")):
            if prefix + stem in checkpoint.tensors and any(
                name.startswith(prefix + mlp) for name in checkpoint.tensors
            ):
                return f"downsample_layers and stages.*.pwconv1 of ConvNeXt ({kind})"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            _take(renaming, name, value)
        names = renaming.tensors
        trained = "encoder.norm.weight" not in names and any(".grn." in name for name in names)
        supervised = "head.weight" in names
        return Parsed(
            family="convnext",
            tensors=names,
            origin=renaming.origin,
            dropped=renaming.dropped,
            laid_out=renaming.laid_out,
            arch={},
            objective="supervised" if supervised else "fcmae" if trained else "unknown",
            colour_note="mean and std of ImageNet, as ConvNeXt's data code has them",
        )


def _take(renaming: Renaming, name: str, value: Tensor) -> None:
    """Take a tensor over, in the layout of dense layers."""
    bare = name.removeprefix(_PREFIX)
    if bare.endswith(".kernel"):
        new = _renamed(bare.removesuffix("kernel") + "weight")
        dense = _dense(value)
        if dense is not None:
            renaming.lay_out(name, new, dense, KERNELS)
        else:  # refused under its own name
            renaming.take(name, f"encoder.{name}", value)
        return
    new = _renamed(_SPARSE.sub(r"\1", bare))
    vector = new.endswith(".bias") or ".grn." in new
    if vector and value.ndim > 1 and value.numel() == value.shape[-1]:
        renaming.lay_out(name, new, value.flatten(), VECTORS)
    else:
        renaming.take(name, new, value)


def _dense(kernel: Tensor) -> Tensor | None:
    """Return a sparse kernel (k*k, in, out), or (k*k, width) of a depthwise one, as (out,in,k,k).

    Its first axis counts down the columns (MinkowskiEngine; remap_checkpoint_keys of
    facebookresearch/ConvNeXt-V2). None for one of another shape.
    """
    side = isqrt(len(kernel)) if kernel.ndim in (2, 3) else 0
    if not side or side * side != len(kernel):
        return None
    square = kernel.reshape(side, side, *kernel.shape[1:]).transpose(0, 1)
    if kernel.ndim == 2:
        square = square.unsqueeze(2)
    return square.permute(3, 2, 0, 1).contiguous()


def _renamed(name: str) -> str:
    """Return the name in the Backbone; under `encoder.` what is unknown."""
    if name.startswith("head."):
        return name
    if part := _DECODER.match(name):
        inner = name if part[2] is None else name.replace("decoder.", "blocks.", 1)
        return "decoder." + _in_block(inner)
    for pattern, new in _RENAMED:
        name, found = pattern.subn(new, name)
        if found:
            break
    return "encoder." + _in_block(name)


def _in_block(name: str) -> str:
    for pattern, new in _IN_BLOCK:
        name = pattern.sub(new, name)
    return name
