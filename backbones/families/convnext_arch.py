"""The architecture of a ConvNeXt or ConvNeXt V2, and how it is read off a file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from backbones.errors import LoadError
from backbones.families.arch import (
    FC1,
    HEAD,
    PATCH,
    check_norm,
    depth_of,
    from_dict,
    need,
    norm_note,
    read_fields,
    rows_of,
    square_side,
)
from backbones.families.contract import Arch, Described, Size, Tensors
from backbones.families.positions import Grid, grid_of

Stages = tuple[int, ...]

NORM_EPS = 1e-6
LAYER_SCALE = 1e-6
"""Both as published (models/convnext.py)."""

BLOCK = "encoder.stages.{}.blocks.{}"
DECODER = {"decoder_embed_dim": 512, "decoder_depth": 1}
"""The published one (models/fcmae.py)."""

FRESH_NORM = frozenset({"fc_norm.weight", "fc_norm.bias"})
_SIDE = 224


@dataclass(frozen=True)
class ConvNextArch:
    """A ConvNeXt.

    Attributes:
        image_size: (height, width) of the training images in pixels; nothing depends on it but the
            size that is taken where none is asked for.
        depths: blocks of each stage.
        dims: channels of each stage.
        patch_size: side in pixels of the first stage's cells; each further stage doubles it.
        kernel_size: side of the depthwise kernels.
        mlp_ratio: units of the MLP over the width.
        layer_scale: initial value of gamma, None without (ConvNeXt V2).
        grn: global response normalisation in the MLP (ConvNeXt V2).
        final_norm: whether the file has a norm after the last stage; pre-trained ones have none.
        norm_first: whether that norm stands before the mean over the map, as in some of timm's.
        num_classes: outputs of the file's classifier, 0 without.
        decoder_embed_dim, decoder_depth: FCMAE's decoder, 0 without.
    """

    image_size: Size
    depths: Stages
    dims: Stages
    patch_size: int = 4
    kernel_size: int = 7
    mlp_ratio: float = 4.0
    layer_scale: float | None = LAYER_SCALE
    grn: bool = False
    final_norm: bool = True
    norm_first: bool = False
    norm_eps: float = NORM_EPS
    num_classes: int = 0
    decoder_embed_dim: int = 0
    decoder_depth: int = 0

    @property
    def strides(self) -> Stages:
        """Input pixels of each stage's cells."""
        return tuple(self.patch_size * 2**i for i in range(len(self.depths)))

    def grids(self, size: Size) -> tuple[Grid, ...]:
        """Rows and columns of each stage's map, for images of a size."""
        return tuple(grid_of(size, stride) for stride in self.strides)


def checked(arch: Arch) -> ConvNextArch:
    """Build the architecture.

    Raises:
        LoadError: fields that are wrong or do not hang together.
    """
    built = from_dict(ConvNextArch, arch)
    check_norm(built.norm_eps)
    if len(built.dims) != len(built.depths):
        raise LoadError(
            f"dims: expected one width for each of the {len(built.depths)} stages, "
            f"got {list(built.dims)}"
        )
    if built.kernel_size % 2 == 0:
        raise LoadError(f"kernel_size: expected an odd number, got {built.kernel_size}")
    if built.mlp_ratio * min(built.dims) < 1:
        raise LoadError(f"mlp_ratio: expected at least one unit, got {built.mlp_ratio}")
    if built.decoder_embed_dim and not built.grn:
        raise LoadError("FCMAE's decoder belongs to a ConvNeXt V2, this encoder has no grn")
    if built.num_classes and not built.final_norm:
        raise LoadError(
            "the file has a classifier but not the norm before it; it is not a whole encoder"
        )
    return built


def describe(tensors: Tensors, given: Arch) -> Described:
    """Return the architecture of a file; see Family.describe."""
    given = read_fields(ConvNextArch, given)
    found = _read_off(tensors)
    notes: tuple[str, ...] = ()
    if "image_size" not in given:
        found["image_size"] = (_SIDE, _SIDE)
        notes = (f"image_size={_SIDE}, which no file tells and nothing else depends on",)
    arch = checked({**found, **given})
    notes += norm_note(given, NORM_EPS)
    if arch.final_norm:
        return Described(dataclasses.asdict(arch), notes)
    return Described(dataclasses.asdict(arch), notes, fresh=FRESH_NORM)


def _read_off(tensors: Tensors) -> dict[str, Any]:
    patch = need(tensors, "encoder.stem.0.weight", PATCH)
    stages = range(depth_of(tensors, "encoder.stages"))
    norms = [need(tensors, f"{BLOCK.format(i, 0)}.norm.weight", ("width",)) for i in stages]
    first = BLOCK.format(0, 0)
    fc1 = need(tensors, f"{first}.mlp.fc1.weight", FC1)
    kernel = need(tensors, f"{first}.conv_dw.weight", ("width", "1", "kernel", "kernel"))
    outputs = rows_of(tensors, "decoder.pred.weight", ("3 x stride x stride", "width", "1", "1"))
    if outputs and square_side(outputs // 3, "the decoder's cell") != patch.shape[-1] * 2 ** (
        len(stages) - 1
    ):
        raise LoadError(
            f"the decoder gives {outputs} numbers a cell, which are not the pixels of one of the "
            "last stage's cells; it is of another encoder"
        )
    return {
        "patch_size": int(patch.shape[-1]),
        "depths": tuple(depth_of(tensors, f"encoder.stages.{i}.blocks") for i in stages),
        "dims": tuple(len(norm) for norm in norms),
        "kernel_size": int(kernel.shape[-1]),
        "mlp_ratio": fc1.shape[0] / fc1.shape[1],
        "layer_scale": LAYER_SCALE if f"{first}.gamma" in tensors else None,
        "grn": f"{first}.mlp.grn.weight" in tensors,
        "final_norm": "encoder.norm.weight" in tensors,
        "num_classes": rows_of(tensors, "head.weight", HEAD),
        "decoder_embed_dim": rows_of(
            tensors, "decoder.proj.weight", ("decoder width", "width", "1", "1")
        ),
        "decoder_depth": depth_of(tensors, "decoder.blocks"),
    }
