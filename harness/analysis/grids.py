"""The tokens of every block, each on its own grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from backbones import Backbone


@dataclass(frozen=True)
class Grid:
    """How the tokens of a block lie on the input.

    Cells of `stride` x `stride` pixels from the upper left corner; the last ones may reach over the
    input's edge.

    Attributes:
        stage: from 0; 0 in encoders without stages.
        rows, columns: h and w.
        stride: pixels.
    """

    stage: int
    rows: int
    columns: int
    stride: int

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width in pixels that the cells cover."""
        return self.rows * self.stride, self.columns * self.stride


def tokens(backbone: Backbone, images: Tensor) -> list[tuple[Tensor, Grid]]:
    """The patch tokens (B,h*w,C) after every block, raster order, without prefix, and their grid.

    Raises:
        LoadError: the encoder has no blocks.
        UserError: what it gives of a block fits none of its strides.
    """
    try:
        found = backbone.blocks(images)
    except NotImplementedError:
        found = []
    if not found:
        raise UserError(
            f"{backbone.spec.name} does not give the tokens after its blocks: it has neither "
            "similarity nor spectrum nor probes"
        )
    return [_placed(backbone, block, number) for number, block in enumerate(found)]


def _placed(backbone: Backbone, block: Tensor, number: int) -> tuple[Tensor, Grid]:
    if block.ndim == 4:
        grid = _of_map(backbone, block)
        if grid is not None:
            return block.flatten(2).transpose(1, 2), grid
    elif block.ndim == 3:
        rows, columns = _cells(backbone, backbone.feature_info[-1].stride)
        prefix = block.shape[1] - rows * columns
        if prefix >= 0:
            return block[:, prefix:], Grid(0, rows, columns, backbone.feature_info[-1].stride)
    strides = ", ".join(str(info.stride) for info in backbone.feature_info)
    raise UserError(
        f"block {number} of {backbone.spec.name} gives {tuple(block.shape)}, which fits none of "
        f"its strides ({strides}) at an input of {backbone.input_size[0]}x{backbone.input_size[1]}"
    )


def _of_map(backbone: Backbone, block: Tensor) -> Grid | None:
    """The grid of a map (B,C,h,w): of the first stage with its size, and its channels where that
    leaves a choice."""
    size = (int(block.shape[2]), int(block.shape[3]))
    fitting = [
        (info.channels != block.shape[1], stage, info.stride)
        for stage, info in enumerate(backbone.feature_info)
        if _cells(backbone, info.stride) == size
    ]
    if not fitting:
        return None
    _, stage, stride = min(fitting)
    return Grid(stage, *size, stride)


def _cells(backbone: Backbone, stride: int) -> tuple[int, int]:
    height, width = backbone.input_size
    return -(-height // stride), -(-width // stride)
