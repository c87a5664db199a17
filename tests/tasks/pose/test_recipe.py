"""The shipped recipes: valid, and at scale `paper` what ViTPose publishes."""

import inspect
from typing import Any

import pytest

from harness.recipes import determining
from tasks import openmmlab
from tasks.pose.fitting import fit
from tasks.pose.task import Pose
from tests.tasks.pose.folders import mmpose_config, recipe

PAPER = ["paper", "paper-crowdpose"]


@pytest.mark.parametrize("name", [path.stem for path in sorted(Pose.recipes.glob("*.yaml"))])
def test_recipes_are_valid(name: str) -> None:
    given = recipe(name)
    fit(given, 32 if name == "paper-swinv2" else 16)
    assert given.scale == name.split("-")[0]
    assert given.codec.heatmap_size == tuple(s // 4 for s in given.backbone.input_size)
    assert given.test.nms_oks == 0.9 and given.padding == 1.25


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """ViTPose-B in mmpose."""
    folder = "body_2d_keypoint/topdown_heatmap/coco"
    return mmpose_config(f"{folder}/td-hm_ViTPose-base_8xb64-210e_coco-256x192.py")


@pytest.mark.parametrize("name", PAPER)
def test_training_as_published(name: str, published: dict[str, Any]) -> None:
    given, wrapper = recipe(name), published["optim_wrapper"]
    warmup, steps = published["param_scheduler"]
    assert wrapper["optimizer"]["type"] == "AdamW"
    assert given.optimizer.model_dump() == {
        **{key: wrapper["optimizer"][key] for key in ("lr", "betas", "weight_decay")},
        "layer_decay": wrapper["paramwise_cfg"]["layer_decay_rate"],
        "layer_rule": "vitpose",
        "clip_norm": wrapper["clip_grad"]["max_norm"],
        "rate_factors": {},
        "encoder_factor": 1.0,
        "decay_all": False,
    }
    assert given.schedule.name == "step" and given.schedule.unit == "epoch"
    assert given.schedule.warmup == warmup["end"]
    assert given.schedule.warmup_factor == warmup["start_factor"]
    assert given.schedule.milestones == tuple(steps["milestones"])
    assert given.schedule.gamma == steps["gamma"]
    assert given.train.batch_size == published["auto_scale_lr"]["base_batch_size"]
    assert given.train.epochs == published["train_cfg"]["max_epochs"] and not given.train.steps
    model = published["model"]
    assert given.backbone.drop_path == model["backbone"]["drop_path_rate"]
    assert given.backbone.input_size == model["backbone"]["img_size"]
    assert given.head.loss == "mse" and model["head"]["loss"]["type"] == "KeypointMSELoss"
    head = fit(given, 16)[0].head
    assert head.deconv_channels == model["head"]["deconv_out_channels"]
    assert head.deconv_kernels == model["head"]["deconv_kernel_sizes"]
    assert given.test.flip and given.codec.type == "udp", "which needs no shift of the maps"


@pytest.mark.parametrize("name", PAPER)
def test_pipeline_as_published(name: str, published: dict[str, Any]) -> None:
    """What the published configuration leaves to mmpose's defaults."""
    given = recipe(name)
    steps = [step["type"] for step in published["train_pipeline"]]
    assert steps[1:6] == [
        "GetBBoxCenterScale",
        "RandomFlip",
        "RandomHalfBody",
        "RandomBBoxTransform",
        "TopdownAffine",
    ]
    library = openmmlab.load("mmpose.datasets.transforms.common_transforms")
    assert given.padding == library.GetBBoxCenterScale().padding
    half, box = library.RandomHalfBody(), library.RandomBBoxTransform()
    assert given.augmentation.model_dump() == {
        "flip": inspect.signature(library.RandomFlip).parameters["prob"].default,
        "half_body": half.prob,
        "half_body_joints": half.min_total_keypoints,
        "half_body_padding": half.padding,
        "shift": box.shift_factor,
        "shift_probability": box.shift_prob,
        "scale": box.scale_factor,
        "scale_probability": box.scale_prob,
        "rotation": box.rotate_factor,
        "rotation_probability": box.rotate_prob,
        "jitter": None,
        "grid_dropout": None,
    }
    codec = published["codec"]
    library = openmmlab.load("mmpose.codecs.udp_heatmap").UDPHeatmap
    assert codec["type"] == "UDPHeatmap" and given.codec.sigma == codec["sigma"]
    assert given.codec.heatmap_size == codec["heatmap_size"][::-1]
    kernel = inspect.signature(library).parameters["blur_kernel_size"].default
    assert given.codec.blur_kernel == kernel


def test_a_detections_file_may_lie_anywhere() -> None:
    """Its content is part of the data's hash: where it lies determines nothing."""
    here, there = (recipe("paper", detections=f"/{folder}/boxes.json") for folder in "ab")
    assert here != there and determining(here) == determining(there)
