"""mmdet's own Mask R-CNN with the weights of ours, built from a configuration."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import openmmlab
from tasks.detection.model import Detector
from tasks.detection.parts.norm import MapNorm
from tasks.detection.recipe import RoiRecipe, RpnRecipe


class Below(nn.Module):
    """Our encoder and what of our neck is not mmdet's, in the place of mmdet's backbone."""

    def __init__(self, **_: Any) -> None:
        super().__init__()


def build(model: Detector) -> Any:
    """A detector of mmdet's with every weight of `model`'s heads, and its encoder itself."""
    openmmlab.load("mmdet.models")
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmdet"):
        built = MODELS.build(ConfigDict(_config(model)))
    fpn = model.recipe.neck.type == "fpn"
    object.__setattr__(built, "extract_feat", lambda images: _maps(model, built, images, fpn))
    pairs = [("rpn.head", built.rpn_head), ("box_head", built.roi_head.bbox_head)]
    if model.mask_head is not None:
        pairs.append(("mask_head", built.roi_head.mask_head))
    if fpn:
        pairs.append(("neck.fpn", built.neck))
    for name, module in pairs:
        module.load_state_dict(model.get_submodule(name).state_dict())
    return built


def _maps(model: Detector, built: Any, images: Tensor, fpn: bool) -> tuple[Tensor, ...]:
    maps = model.backbone(images)
    if not fpn:
        return tuple(model.neck(maps))
    normed = [norm(x) for norm, x in zip(model.neck.norms, maps, strict=True)]
    return tuple(built.neck(normed))


def _config(model: Detector) -> dict[str, Any]:
    recipe = model.recipe
    strides = list(recipe.neck.strides)
    channels = recipe.neck.channels
    roi, rpn, test = recipe.roi, recipe.rpn, recipe.test
    norm = {"type": MapNorm, "eps": 1e-6} if roi.norm == "layer" else None
    masks = model.mask_head is not None

    def assigner(positive: float, negative: float, least: float) -> dict[str, Any]:
        return {
            "type": "MaxIoUAssigner",
            "pos_iou_thr": positive,
            "neg_iou_thr": negative,
            "min_pos_iou": least,
            "match_low_quality": True,
            "ignore_iof_thr": -1,
        }

    def sampler(of: RpnRecipe | RoiRecipe) -> dict[str, Any]:
        return {
            "type": "RandomSampler",
            "num": of.sampled,
            "pos_fraction": of.positive_share,
            "neg_pos_ub": -1,
            "add_gt_as_proposals": of is roi,
        }

    def proposals(before: int) -> dict[str, Any]:
        return {
            "nms_pre": before,
            "max_per_img": rpn.proposals_after,
            "nms": {"type": "nms", "iou_threshold": rpn.nms_iou},
            "min_bbox_size": 0,
        }

    def extractor(size: int) -> dict[str, Any]:
        return {
            "type": "SingleRoIExtractor",
            "roi_layer": {"type": "RoIAlign", "output_size": size, "sampling_ratio": 0},
            "out_channels": channels,
            "featmap_strides": strides,
        }

    mask = {
        "mask_roi_extractor": extractor(roi.mask_size),
        "mask_head": {
            "type": "FCNMaskHead",
            "num_convs": roi.mask_convolutions,
            "in_channels": channels,
            "conv_out_channels": roi.mask_width,
            "num_classes": model.classes,
            "norm_cfg": norm,
        },
    }
    return {
        "type": "MaskRCNN" if masks else "FasterRCNN",
        "backbone": {"type": Below},
        "neck": {
            "type": "FPN",
            "in_channels": [info.channels for info in model.backbone.feature_info],
            "out_channels": channels,
            "num_outs": len(strides) + 1,
        },
        "rpn_head": {
            "type": "RPNHead",
            "in_channels": channels,
            "feat_channels": channels,
            "num_convs": rpn.convolutions,
            "anchor_generator": {
                "type": "AnchorGenerator",
                "scales": [rpn.scale],
                "ratios": list(rpn.ratios),
                "strides": [*strides, 2 * strides[-1]],
            },
            "bbox_coder": {
                "type": "DeltaXYWHBBoxCoder",
                "target_means": [0.0] * 4,
                "target_stds": [1.0] * 4,
            },
            "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0},
            "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
        },
        "roi_head": {
            "type": "StandardRoIHead",
            "bbox_roi_extractor": extractor(roi.box_size),
            "bbox_head": {
                "type": "ConvFCBBoxHead",
                "num_shared_convs": roi.convolutions,
                "num_shared_fcs": roi.linears,
                "in_channels": channels,
                "conv_out_channels": channels,
                "fc_out_channels": roi.width,
                "roi_feat_size": roi.box_size,
                "num_classes": model.classes,
                "norm_cfg": norm,
                "bbox_coder": {
                    "type": "DeltaXYWHBBoxCoder",
                    "target_means": [0.0] * 4,
                    "target_stds": [0.1, 0.1, 0.2, 0.2],
                },
                "reg_class_agnostic": roi.class_agnostic,
                "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
                "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
            },
            **(mask if masks else {}),
        },
        "train_cfg": {
            "rpn": {
                "assigner": assigner(rpn.positive_iou, rpn.negative_iou, rpn.min_positive_iou),
                "sampler": sampler(rpn),
                "allowed_border": -1,
                "pos_weight": -1,
                "debug": False,
            },
            "rpn_proposal": proposals(rpn.proposals_before),
            "rcnn": {
                "assigner": assigner(roi.positive_iou, roi.positive_iou, roi.positive_iou),
                "sampler": sampler(roi),
                "mask_size": 2 * roi.mask_size,
                "pos_weight": -1,
                "debug": False,
            },
        },
        "test_cfg": {
            "rpn": proposals(rpn.proposals_before_test),
            "rcnn": {
                "score_thr": test.min_score,
                "nms": {"type": "nms", "iou_threshold": test.nms_iou},
                "max_per_img": test.detections,
                "mask_thr_binary": test.mask_threshold,
            },
        },
    }


def samples(batch: dict[str, Any]) -> list[Any]:
    """A batch as mmdet's records."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    canvas = tuple(batch["image"].shape[-2:])
    found = []
    for i in range(len(batch["image"])):
        sample = DetDataSample()
        sample.set_metainfo(
            {
                "img_shape": tuple(batch["extent"][i].tolist()),
                "ori_shape": tuple(batch["image_size"][i].tolist()),
                "scale_factor": tuple(batch["scale"][i].tolist()),
                "pad_shape": canvas,
                "batch_input_shape": canvas,
            }
        )
        truth = InstanceData(bboxes=batch["boxes"][i], labels=batch["labels"][i])
        if "masks" in batch:
            truth.masks = BitmapMasks(np.asarray(batch["masks"][i]), *canvas)
        sample.gt_instances = truth
        found.append(sample)
    return found


def totals(losses: dict[str, Any]) -> dict[str, Tensor]:
    """mmdet's losses, those of levels added up, under our names."""
    names = {
        "rpn_class": "loss_rpn_cls",
        "rpn_box": "loss_rpn_bbox",
        "class": "loss_cls",
        "box": "loss_bbox",
        "mask": "loss_mask",
    }
    found = {ours: losses[theirs] for ours, theirs in names.items() if theirs in losses}
    return {
        name: torch.stack([part.sum() for part in value]).sum()
        if isinstance(value, list)
        else value.sum()
        for name, value in found.items()
    }
