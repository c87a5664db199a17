"""The shipped recipes: valid, and at scale `paper` what ViTPose publishes."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import backbones
from harness.engine.optimizer import placements
from harness.engine.schedule import Schedule
from harness.recipes import determining
from tasks import openmmlab
from tasks.contract import DataInfo
from tasks.pose.fitting import fit
from tasks.pose.model import PoseModel
from tasks.pose.recipe import PoseRecipe
from tasks.pose.task import Pose
from tests.tasks.pose.folders import mmpose_config, recipe

FIXTURES = Path(__file__).parents[2] / "fixtures/recipes"
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


def test_layers_and_rates_as_published() -> None:
    """Layer, rate and decay of every parameter, at each iteration that ViTPose's code was run to;
    the width of the encoder does not matter."""
    given = recipe("paper")
    model = model_of_depth_12(given)
    rows = json.loads((FIXTURES / "layer_ids/vitpose_base.json").read_text())
    found = placements(model, given)
    schedule = json.loads((FIXTURES / "schedules/vitpose_base.json").read_text())
    per_epoch = schedule["iterations_per_epoch"]
    assert given.train.epochs == schedule["epochs"]
    total = schedule["epochs"] * per_epoch
    rate = Schedule(given.schedule, given.optimizer.lr, total, per_epoch)
    names = {ours(name): row for name, row in rows.items()}
    # ViTPose has no class token.
    assert set(names) == set(found) - {"backbone.encoder.cls_token"}
    for name, (layer, scale, decay) in names.items():
        place = found[name]
        assert (place.layer, place.decays) == (layer, decay > 0), name
        assert place.scale == pytest.approx(scale, rel=1e-12), name
        assert decay in (0, given.optimizer.weight_decay)
    for reading in schedule["lr_in_effect_at_iteration"]:
        for scale, expected in zip(schedule["group_lr_scales"], reading["lr"], strict=True):
            assert rate(reading["iteration"], scale) == pytest.approx(expected, rel=1e-9)


def ours(name: str) -> str:
    """The name in our model of a parameter of ViTPose."""
    if name.startswith("keypoint_head."):
        return name.removeprefix("keypoint_")
    return name.replace("backbone.", "backbone.encoder.", 1).replace("last_norm", "norm")


def model_of_depth_12(given: PoseRecipe) -> PoseModel:
    arch = {"embed_dim": 24, "depth": 12, "patch_size": 16, "num_heads": 1}
    backbone = backbones.create("vit", arch, given.backbone.input_size, seed=0)
    info = DataInfo("", "training", 1, "", "", model={"flip": list(range(17))})
    return PoseModel(backbone, given, info)


def test_a_detections_file_may_lie_anywhere() -> None:
    """Its content is part of the data's hash: where it lies determines nothing."""
    here, there = (recipe("paper", detections=f"/{folder}/boxes.json") for folder in "ab")
    assert here != there and determining(here) == determining(there)
