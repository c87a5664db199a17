"""Learning rates against those that the published code had in effect (relative 1e-9: float64)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.engine.schedule import Schedule
from tasks.recipe import ScheduleRecipe

FIXTURES = Path(__file__).parents[2] / "fixtures/recipes/schedules"

CASES: dict[str, dict[str, Any]] = {
    "vitpose_base": {
        "name": "step",
        "unit": "epoch",
        "warmup": 500,
        "warmup_factor": 0.001,
        "milestones": (170, 200),
    },
    "pct_pose_swinv2_base": {
        "name": "cosine_epoch",
        "unit": "epoch",
        "warmup": 500,
        "warmup_factor": 0.001,
        "min_factor": 1e-5,
    },
    "simmim_pretrain_vit_base": {
        "name": "simmim_step",
        "unit": "epoch",
        "warmup": 10,
        "warmup_factor": 0.005,
        "milestones": (700,),
    },
    "simmim_finetune_vit_base": {
        "name": "simmim_cosine",
        "unit": "epoch",
        "warmup": 20,
        "warmup_factor": 2e-4,
        "min_factor": 2e-4,
    },
    "mae_finetune_vit_base": {"unit": "epoch", "warmup": 5, "min_factor": 5e-4},
    "mae_finetune_vit_large": {"unit": "epoch", "warmup": 5, "min_factor": 2.5e-4},
    "mae_pretrain": {"unit": "epoch", "warmup": 40},
    "mae_linprobe_vit_base": {"unit": "epoch", "warmup": 10},
    "beit_finetune_vit_base": {
        "name": "beit_cosine",
        "unit": "epoch",
        "warmup": 20,
        "min_factor": 2.5e-4,
    },
    "mim_depth_nyuv2_base": {"name": "mim_depth", "min_factor": 0.06},
    "mim_depth_kitti_base": {"name": "mim_depth", "min_factor": 0.06},
    "swin_mask_rcnn_1x": {
        "name": "step",
        "unit": "epoch",
        "warmup": 500,
        "warmup_factor": 0.001,
        "milestones": (8, 11),
    },
    "vitdet_base": {
        "name": "step",
        "warmup": 250,
        "warmup_factor": 0.001,
        "milestones": (163889, 177546),
    },
    "swintrack_base": {
        "name": "step",
        "unit": "epoch",
        "warmup": 768,
        "warmup_factor": 0.001,
        "milestones": (210,),
    },
    "vitdet_huge": {
        "name": "step",
        "warmup": 138281 * 250 / 184375,
        "warmup_factor": 0.001,
        "milestones": (122916, 133159),
    },
}
CASES["swin_mask_rcnn_3x"] = CASES["swin_mask_rcnn_1x"] | {"milestones": (27, 33)}
CASES["simmim_finetune_swin_base"] = CASES["simmim_finetune_vit_base"]
CASES["simmim_finetune_swinv2_base"] = CASES["simmim_finetune_vit_base"] | {"name": "swin_cosine"}


@pytest.mark.parametrize("name", CASES)
def test_rates_equal_the_published_code(name: str) -> None:
    fixture = json.loads((FIXTURES / f"{name}.json").read_text())
    peak = next(fixture[key] for key in ("base_lr_scaled", "max_lr", "lr") if key in fixture)
    per_epoch = fixture.get("iterations_per_epoch", 1)
    total = fixture.get("max_iter") or fixture["epochs"] * per_epoch
    schedule = Schedule(ScheduleRecipe(**CASES[name]), peak, total, per_epoch)
    readings = fixture["lr_in_effect_at_iteration"]
    assert len(readings) > 10
    for reading in readings:
        for scale, rate in zip(fixture["group_lr_scales"], reading["lr"], strict=True):
            assert schedule(reading["iteration"], scale) == pytest.approx(rate, rel=1e-9, abs=1e-18)


def test_dinos_linear_classifier() -> None:
    """One rate an epoch, whatever the number of steps in it."""
    fixture = json.loads((FIXTURES / "dino_linear.json").read_text())
    schedule = Schedule(ScheduleRecipe(name="cosine_epoch"), fixture["lr"], 700, 7)
    assert len(fixture["lr_in_effect_at_epoch"]) > 10
    for reading in fixture["lr_in_effect_at_epoch"]:
        for step in range(7):
            rate = schedule(7 * reading["epoch"] + step)
            assert rate == pytest.approx(reading["lr"][0], rel=1e-9)


def test_dinov2s_linear_classifiers() -> None:
    """Thirteen peaks side by side."""
    fixture = json.loads((FIXTURES / "dinov2_linear.json").read_text())
    for reading in fixture["lr_in_effect_at_iteration"]:
        for peak, rate in zip(fixture["group_lr"], reading["lr"], strict=True):
            schedule = Schedule(ScheduleRecipe(), peak, fixture["iterations"], 1)
            assert schedule(reading["iteration"]) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize(("total", "per_epoch"), [(7, 10.0), (1, 3.0), (250, 10.4), (26, 8.0)])
def test_up_and_down_at_any_length(total: int, per_epoch: float) -> None:
    """One peak, at the middle of what is halved, between minima."""
    schedule = Schedule(ScheduleRecipe(name="mim_depth", min_factor=0.06), 1.0, total, per_epoch)
    rates = [schedule(step) for step in range(total)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert abs(top + 1 - total / 2) <= per_epoch and min(rates) >= 0.06 and max(rates) <= 1
