"""The linear depth probe of DINOv2 (Oquab et al. 2023, `lin. 1`; its code's eval/depth)."""

from __future__ import annotations

from torch import Tensor, nn

from tasks.depth.heads.bins import expected
from tasks.depth.heads.contract import Head, enlarged


class LinearHead(Head):
    """Batch norm, bilinear x4, a 1x1 convolution to the scores of bins.

    The batch norm makes encoders comparable whose maps differ in scale; DINOv2's code for
    segmentation has it, in that for depth it is commented out. A class token beside each patch,
    which DINOv2 adds, is left out, as in probe3d: most encoders here have none.

    Args:
        width: channels of the encoder's last map.
        bins: number of depths.
        nearest, farthest: first and last depth in metres.
    """

    def __init__(self, width: int, bins: int, nearest: float, farthest: float) -> None:
        super().__init__()
        self.nearest, self.farthest = nearest, farthest
        self.norm = nn.BatchNorm2d(width)
        self.scores = nn.Conv2d(width, bins, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        # A 1x1 convolution and a linear interpolation can change places: 16 times less to compute.
        scores = enlarged(self.scores(self.norm(maps[-1])), 4)
        return expected(scores, self.nearest, self.farthest)
