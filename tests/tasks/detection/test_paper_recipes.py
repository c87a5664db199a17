"""The published recipes say what Swin's and ViTDet's code does, as far as mmdet ships it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.engine.schedule import Schedule
from tasks.detection.augmentation import check
from tasks.detection.recipe import DetectionRecipe
from tasks.openmmlab import load

HOUSE = Path(__file__).parents[3]
RECIPES = HOUSE / "tasks" / "detection" / "recipes"
FIXTURES = HOUSE / "tests" / "fixtures" / "recipes" / "schedules"
SWIN = {
    "paper": "mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py",
    "paper-swin-3x": "mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco.py",
}
PAPER = [*SWIN, "paper-vitdet"]


def recipe(name: str) -> DetectionRecipe:
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    return DetectionRecipe.model_validate(yaml.safe_load(text))


@pytest.fixture(params=SWIN)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def configuration(name: str) -> Any:
    """Swin's configuration in mmdet."""
    package = importlib.util.find_spec("mmdet")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / ".mim/configs/swin" / SWIN[name]
    return load("mmengine.config").Config.fromfile(path)


@pytest.fixture
def published(name: str) -> Any:
    return configuration(name)


@pytest.mark.parametrize(
    ("name", "fixture"),
    [
        ("paper", "swin_mask_rcnn_1x"),
        ("paper-swin-3x", "swin_mask_rcnn_3x"),
        ("paper-vitdet", "vitdet_base"),
    ],
)
def test_rates_of_the_published_code(name: str, fixture: str) -> None:
    """Of the whole training set, none held out."""
    given, told = recipe(name), json.loads((FIXTURES / f"{fixture}.json").read_text())
    epoch = told.get("iterations_per_epoch", 1)
    steps = given.train.steps or int((given.train.epochs or 0) * epoch)
    assert steps == told.get("max_iter", told.get("epochs", 0) * epoch)
    schedule = Schedule(given.schedule, given.optimizer.lr, steps, epoch)
    last, decay = len(told["group_lr_scales"]) - 1, given.optimizer.layer_decay
    for reading in told["lr_in_effect_at_iteration"]:
        for group, expected in enumerate(reading["lr"]):
            found = schedule(reading["iteration"], decay ** (last - group))
            assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", PAPER)
def test_what_all_have(name: str) -> None:
    given = recipe(name)
    assert given.scale == "paper" and given.data.name == "coco" and given.data.masks
    assert given.optimizer.clip_norm is None and given.train.precision == "16"
    assert (given.test.min_score, given.test.nms_iou, given.test.detections) == (0.05, 0.5, 100)
    assert given.augmentation.flip == 0.5 and given.dynamics.bins == 200
    check(given.augmentation, given.backbone.input_size)
    check(given.evaluation, given.backbone.input_size)


def test_swin_trains_as_published(name: str, published: Any) -> None:
    given, wrapper = recipe(name), published.optim_wrapper
    optimizer = dict(wrapper.optimizer)
    assert optimizer.pop("type") == "AdamW"
    own = given.optimizer.model_dump()
    assert {key: own[key] for key in optimizer} == optimizer
    assert given.optimizer.layer_rule == "swin_detection" and given.optimizer.layer_decay == 1
    assert set(wrapper.paramwise_cfg.custom_keys) == {
        "absolute_pos_embed",
        "relative_position_bias_table",
        "norm",
    }
    warmup, steps = published.param_scheduler
    assert given.schedule.milestones == tuple(steps.milestones)
    assert given.schedule.gamma == steps.gamma
    assert given.schedule.warmup_factor == warmup.start_factor
    # Swin's own code: 500 steps; mmdet's later copy has 1000.
    assert (given.schedule.warmup, warmup.end) == (500, 1000)
    assert given.train.epochs == published.max_epochs
    assert given.train.batch_size == 8 * published.train_dataloader.batch_size
    assert given.backbone.window_size == published.model.backbone.window_size
    # Likewise the rate of the 1x schedule; mmdet's copy has that of 3x.
    assert published.model.backbone.drop_path_rate == 0.2
    assert given.backbone.drop_path == {"paper": 0.1, "paper-swin-3x": 0.2}[name]


def test_swin_has_the_network_of_mmdet(name: str, published: Any) -> None:
    given, model = recipe(name), published.model
    train, test = model.train_cfg, model.test_cfg
    anchors, roi = model.rpn_head.anchor_generator, model.roi_head
    assert given.neck.type == "fpn" and given.neck.channels == model.neck.out_channels
    assert given.neck.strides == tuple(anchors.strides[:-1])
    assert (given.rpn.scale,) == tuple(anchors.scales)
    assert given.rpn.ratios == tuple(anchors.ratios)
    assert given.rpn.model_dump(include={"positive_iou", "negative_iou", "min_positive_iou"}) == {
        "positive_iou": train.rpn.assigner.pos_iou_thr,
        "negative_iou": train.rpn.assigner.neg_iou_thr,
        "min_positive_iou": train.rpn.assigner.min_pos_iou,
    }
    assert given.rpn.sampled == train.rpn.sampler.num
    assert given.rpn.positive_share == train.rpn.sampler.pos_fraction
    assert given.rpn.proposals_before == train.rpn_proposal.nms_pre
    assert given.rpn.proposals_before_test == test.rpn.nms_pre
    assert given.rpn.proposals_after == train.rpn_proposal.max_per_img == test.rpn.max_per_img
    assert given.rpn.nms_iou == train.rpn_proposal.nms.iou_threshold
    assert given.roi.sampled == train.rcnn.sampler.num
    assert given.roi.positive_share == train.rcnn.sampler.pos_fraction
    assert given.roi.positive_iou == train.rcnn.assigner.pos_iou_thr
    assert given.roi.box_size == roi.bbox_roi_extractor.roi_layer.output_size
    assert given.roi.mask_size == roi.mask_roi_extractor.roi_layer.output_size
    assert (given.roi.convolutions, given.roi.linears) == (0, 2), "Shared2FCBBoxHead"
    assert given.roi.width == roi.bbox_head.fc_out_channels
    assert given.roi.class_agnostic == roi.bbox_head.reg_class_agnostic
    assert given.roi.mask_convolutions == roi.mask_head.num_convs
    assert given.roi.mask_width == roi.mask_head.conv_out_channels
    assert given.test.min_score == test.rcnn.score_thr
    assert given.test.nms_iou == test.rcnn.nms.iou_threshold
    assert given.test.detections == test.rcnn.max_per_img
    assert given.test.mask_threshold == test.rcnn.mask_thr_binary


def test_swin_sees_images_as_published(name: str) -> None:
    """Swin's own code has the crops under either schedule; mmdet's copy of 1x left them out."""
    given, published = recipe(name), configuration("paper-swin-3x")
    assert given.augmentation.mode == "resize_crop"
    steps = {step.type: step for step in published.train_dataloader.dataset.pipeline}
    assert list(steps)[2:4] == ["RandomFlip", "RandomChoice"]
    (plain,), (first, crop, second) = steps["RandomChoice"].transforms
    assert plain == second and plain.type == first.type == "RandomChoiceResize"
    assert crop.crop_type == "absolute_range" and crop.allow_negative_crop
    assert given.augmentation.crop_range == tuple(crop.crop_size)
    long = given.augmentation.max_long_side
    assert [(side, long) for side in given.augmentation.first_short_sides] == first.scales
    assert [(side, long) for side in given.augmentation.short_sides] == plain.scales
    tested = {step.type: step for step in published.test_dataloader.dataset.pipeline}["Resize"]
    seen = given.evaluation.short_side, given.evaluation.max_long_side
    assert seen == tested.scale[::-1]


def test_vitdet_as_published() -> None:
    """detectron2 projects/ViTDet, configs/COCO/mask_rcnn_vitdet_b_100ep.py and what it reads."""
    given = recipe("paper-vitdet")
    assert given.backbone.input_size == (1024, 1024) and given.backbone.drop_path == 0.1
    assert given.backbone.arch() == {"window_size": 14, "rel_pos": True}, "blocks by the rule"
    assert given.neck.type == "simple" and given.neck.norm == given.roi.norm == "layer"
    assert given.rpn.convolutions == 2
    assert (given.roi.convolutions, given.roi.linears, given.roi.width) == (4, 1, 1024)
    assert given.augmentation.mode == "jitter" and given.augmentation.jitter_range == (0.1, 2.0)
    assert given.augmentation.resampler == given.evaluation.resampler == "pillow"
    assert given.evaluation.short_side is None
    assert given.optimizer.model_dump(
        exclude={"clip_norm", "rate_factors", "encoder_factor", "decay_all"}
    ) == {
        "lr": 1e-4,
        "betas": (0.9, 0.999),
        "weight_decay": 0.1,
        "layer_decay": 0.7,
        "layer_rule": "vitdet",
    }
    assert given.train.steps == 184375 and given.train.batch_size == 64
