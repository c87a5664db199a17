"""The operators of `mmcv.ops` that Mask R-CNN runs, over torchvision; the rest refuse.

Signatures are those of mmcv 2.1. Boxes are x1, y1, x2, y2.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from tasks.contract import DependencyError

_SUBMODULES = (
    "carafe",
    "deform_conv",
    "merge_cells",
    "modulated_deform_conv",
    "multi_scale_deform_attn",
    "nms",
    "roi_align",
)
"""Those that mmdet, mmpose and mmsegmentation import by name."""

_LAYERS = ("DCN", "DCNv2")
"""Names under which configurations ask mmcv's registry for deformable convolutions."""


def roi_align(
    input: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    pool_mode: str = "avg",
    aligned: bool = True,
) -> Tensor:
    """Average bilinear samples over the cells of each region (He et al. 2017, section 3).

    Args:
        input: (B, C, H, W).
        rois: (n, 5): index of the image, then the box in units of 1 / `spatial_scale` cells.
        output_size: cells of the result, one number or (height, width).
        sampling_ratio: samples a cell and axis; 0 takes as many as the region has map cells.
        pool_mode: only "avg".
        aligned: shift by half a cell, so that cell centres lie on whole numbers.

    Returns:
        (n, C, height, width).
    """
    if pool_mode != "avg":
        raise DependencyError(
            f"mmcv.ops.roi_align: pool_mode {pool_mode!r} is not served, `avg` is"
        )
    from torchvision import ops

    size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
    pooled: Tensor = ops.roi_align(
        input, rois, size, spatial_scale, sampling_ratio if sampling_ratio > 0 else -1, aligned
    )
    return pooled


class RoIAlign(nn.Module):
    """`roi_align` as a layer; mmdet builds it by this name."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        pool_mode: str = "avg",
        aligned: bool = True,
        use_torchvision: bool = False,
    ) -> None:
        super().__init__()
        if pool_mode != "avg":
            raise DependencyError(
                f"mmcv.ops.RoIAlign: pool_mode {pool_mode!r} is not served, `avg` is"
            )
        self.output_size = (
            (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        )
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        size = (self.output_size[0], self.output_size[1])
        return roi_align(
            input, rois, size, self.spatial_scale, self.sampling_ratio, "avg", self.aligned
        )


def nms(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    offset: int = 0,
    score_threshold: float = 0,
    max_num: int = -1,
) -> tuple[Tensor, Tensor]:
    """Drop each box that overlaps a better one by more than `iou_threshold`.

    Args:
        boxes: (n, 4). scores: (n,).
        offset: only 0, widths without the + 1.
        score_threshold: above 0, only boxes with a higher score take part.
        max_num: how many are kept at most; all where it is not positive.

    Returns:
        The kept boxes with their scores (m, 5), best first, and their indices (m,).
    """
    if offset != 0:
        raise DependencyError(f"mmcv.ops.nms: offset {offset} is not served, 0 is")
    from torchvision import ops

    taking = torch.arange(len(scores), device=scores.device)
    if score_threshold > 0:
        taking = taking[scores > score_threshold]
    kept = taking[ops.nms(boxes[taking], scores[taking], iou_threshold)]
    if max_num > 0:
        kept = kept[:max_num]
    return torch.cat((boxes[kept], scores[kept, None]), dim=1), kept


def batched_nms(
    boxes: Tensor,
    scores: Tensor,
    idxs: Tensor,
    nms_cfg: Mapping[str, Any] | None,
    class_agnostic: bool = False,
) -> tuple[Tensor, Tensor]:
    """`nms` among the boxes of equal `idxs` (n,); without `nms_cfg` the boxes are only sorted.

    `nms_cfg` has `type` ("nms"), `iou_threshold` and what else `nms` takes. `split_thr` changes
    how mmcv computes the result, not the result, and is not looked at.
    """
    if nms_cfg is None:
        ordered, kept = scores.sort(descending=True)
        return torch.cat((boxes[kept], ordered[:, None]), dim=1), kept
    settings = dict(nms_cfg)
    settings.pop("split_thr", None)
    kind = settings.pop("type", "nms")
    if kind != "nms":
        raise DependencyError(f"mmcv.ops.batched_nms: type {kind!r} is not served, `nms` is")
    if settings.pop("class_agnostic", class_agnostic):
        return nms(boxes, scores, **settings)
    if boxes.numel() == 0:
        return nms(boxes, scores, **settings)
    # One displacement a class keeps classes apart; float64 keeps the overlaps what they were.
    span = (boxes.max() - boxes.min() + 1).double()
    apart = boxes.double() + (idxs.double() * span)[:, None]
    _, kept = nms(apart, scores.double(), **settings)
    return torch.cat((boxes[kept], scores[kept, None]), dim=1), kept


SERVED: dict[str, Any] = {
    "RoIAlign": RoIAlign,
    "batched_nms": batched_nms,
    "nms": nms,
    "roi_align": roi_align,
}


def modules() -> dict[str, ModuleType]:
    """`mmcv.ops` and the sub-modules that are imported by name, for `sys.modules`.

    Each holds the whole table, so `from mmcv.ops.roi_align import roi_align` works. Standing in
    `sys.modules` beforehand, a sub-module never takes the place of the function of its name.
    """
    names = ["mmcv.ops", *(f"mmcv.ops.{name}" for name in _SUBMODULES)]
    made = {}
    for name in names:
        module = ModuleType(name, "Operators over torchvision, in place of compiled ones.")
        module.__dict__.update(SERVED, __getattr__=_unserved, __path__=[])
        made[name] = module
    return made


def register_layers() -> None:
    """Let mmcv's registry know the layers that a compiled `mmcv.ops` registers: they refuse."""
    from mmengine.registry import MODELS

    for name in _LAYERS:
        MODELS.register_module(name, module=_refusal(name))


def _unserved(name: str) -> type[nn.Module]:
    # Imports and inspection ask modules for private names, and take "no" for an answer.
    if name.startswith("_"):
        raise AttributeError(f"module 'mmcv.ops' has no attribute {name!r}")
    return _refusal(name)


@cache
def _refusal(name: str) -> type[nn.Module]:
    """A class under the operator's name, so that others may inherit from it or list it."""

    def refuse(self: nn.Module, *_: Any, **__: Any) -> None:
        raise DependencyError(
            f"mmcv.ops.{name} is not served: it needs a compiled mmcv, or an entry in "
            "tasks/openmmlab/operators.py"
        )

    return type(name, (nn.Module,), {"__init__": refuse, "__module__": "mmcv.ops"})
