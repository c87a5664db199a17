"""mmdet's networks on the pyramid, built directly, with their published initialisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.detection.parts.initialise import kaiming, normal, xavier
from tasks.detection.parts.norm import EPSILON, MapNorm

if TYPE_CHECKING:
    import torch

    from tasks.detection.recipe import DetectionRecipe, RoiRecipe


def rpn_head(recipe: DetectionRecipe) -> Any:
    """RPNHead: for each anchor of each cell a score and four box deltas."""
    from tasks import openmmlab

    module = openmmlab.load("mmdet.models.dense_heads.rpn_head")
    strides = recipe.neck.strides
    with _scope():
        return module.RPNHead(
            in_channels=recipe.neck.channels,
            feat_channels=recipe.neck.channels,
            num_convs=recipe.rpn.convolutions,
            anchor_generator={
                "type": "AnchorGenerator",
                "scales": [recipe.rpn.scale],
                "ratios": list(recipe.rpn.ratios),
                "strides": [*strides, 2 * strides[-1]],
            },
        )


def box_head(recipe: DetectionRecipe, classes: int) -> Any:
    """ConvFCBBoxHead: for each region scores of the classes and of none, and box deltas."""
    from tasks import openmmlab

    module = openmmlab.load("mmdet.models.roi_heads.bbox_heads.convfc_bbox_head")
    roi = recipe.roi
    with _scope():
        return module.ConvFCBBoxHead(
            num_shared_convs=roi.convolutions,
            num_shared_fcs=roi.linears,
            in_channels=recipe.neck.channels,
            conv_out_channels=recipe.neck.channels,
            fc_out_channels=roi.width,
            roi_feat_size=roi.box_size,
            num_classes=classes,
            reg_class_agnostic=roi.class_agnostic,
            norm_cfg=_norm(roi),
        )


def mask_head(recipe: DetectionRecipe, classes: int) -> Any:
    """FCNMaskHead: for each region a mask of twice `roi.mask_size` for each class."""
    from tasks import openmmlab

    module = openmmlab.load("mmdet.models.roi_heads.mask_heads.fcn_mask_head")
    with _scope():
        return module.FCNMaskHead(
            num_convs=recipe.roi.mask_convolutions,
            roi_feat_size=recipe.roi.mask_size,
            in_channels=recipe.neck.channels,
            conv_out_channels=recipe.roi.mask_width,
            num_classes=classes,
            norm_cfg=_norm(recipe.roi),
        )


def assigner(positive: float, negative: float, least: float) -> Any:
    """MaxIoUAssigner as mmdet's Mask R-CNN has it: the best candidates of an object are its own
    from an overlap of `least` on. `ignore_iof_thr` is -1: crowd regions are not looked at, so what
    lies in them is negative."""
    from tasks import openmmlab

    module = openmmlab.load("mmdet.models.task_modules.assigners.max_iou_assigner")
    with _scope():
        return module.MaxIoUAssigner(positive, negative, least, ignore_iof_thr=-1)


def initialise_rpn(head: Any, generator: torch.Generator) -> None:
    """Every convolution N(0, 0.01)."""
    for layer in head.modules():
        normal(layer, 0.01, generator)


def initialise_box(head: Any, generator: torch.Generator) -> None:
    """Convolutions after He, linear layers after Glorot; N(0, 0.01) for classes, N(0, 0.001) for
    boxes."""
    for layer in head.shared_convs.modules():
        kaiming(layer, generator)
    for layer in head.shared_fcs.modules():
        xavier(layer, generator)
    normal(head.fc_cls, 0.01, generator)
    normal(head.fc_reg, 0.001, generator)


def initialise_mask(head: Any, generator: torch.Generator) -> None:
    """Every layer after He."""
    for layer in head.modules():
        kaiming(layer, generator)


def _norm(roi: RoiRecipe) -> dict[str, Any] | None:
    return {"type": MapNorm, "eps": EPSILON} if roi.norm == "layer" else None


@contextmanager
def _scope() -> Iterator[None]:
    """mmdet's names for what its modules build inside, whatever scope the process has."""
    from mmengine.registry import DefaultScope

    before = dict(DefaultScope._instance_dict)
    try:
        with DefaultScope.overwrite_default_scope("mmdet"):
            yield
    finally:
        DefaultScope._instance_dict.clear()
        DefaultScope._instance_dict.update(before)
