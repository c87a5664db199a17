"""The published recipes say what MIM-Depth-Estimation's code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.engine.schedule import Schedule
from tasks.depth.recipe import DepthRecipe

HOUSE = Path(__file__).parents[3]
RECIPES = HOUSE / "tasks" / "depth" / "recipes"
FIXTURES = HOUSE / "tests" / "fixtures" / "recipes"

TABLE: dict[str, dict[str, Any]] = {
    "nyuv2": {
        "input": (480, 480),
        "windows": (30, 30, 30, 15),
        "test": ((480, 640), 2),
        "measured": ("nyu_eigen", 10.0),
        "images": 24231,
    },
    "kitti": {
        "input": (352, 352),
        "windows": (22, 22, 22, 11),
        "test": ((352, 1216), 16),
        "measured": ("kitti_garg", 80.0),
        "images": 23158,
    },
}


@pytest.fixture(params=TABLE)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recipe(name: str) -> DepthRecipe:
    text = (RECIPES / f"paper-{name}.yaml").read_text(encoding="utf-8")
    return DepthRecipe.model_validate(yaml.safe_load(text))


def test_what_differs_between_the_two(name: str, recipe: DepthRecipe) -> None:
    row = TABLE[name]
    assert recipe.scale == "paper" and recipe.data.name == name
    assert recipe.backbone.input_size == row["input"]
    assert recipe.backbone.arch() == {"variant": "mim_depth", "window_size": row["windows"]}
    assert (recipe.test.size, recipe.test.windows) == row["test"]
    assert (recipe.measure.crop, recipe.measure.max_depth) == row["measured"]
    assert recipe.test.flip and recipe.test.uncovered == "published"
    assert recipe.normalise == "none" and recipe.families == ("swinv2",)


def test_the_published_schedule(name: str, recipe: DepthRecipe) -> None:
    """Of the whole training set, none held out: 25 epochs of whole batches."""
    fixture = json.loads((FIXTURES / "schedules" / f"mim_depth_{name}_base.json").read_text())
    train = recipe.train
    assert train.drop_last and train.epochs is not None
    steps = TABLE[name]["images"] // train.batch_size
    assert (steps, train.epochs) == (fixture["iterations_per_epoch"], fixture["epochs"])
    schedule = Schedule(recipe.schedule, recipe.optimizer.lr, int(train.epochs) * steps, steps)
    decay = recipe.optimizer.layer_decay
    scales = [decay**distance for distance in range(28, -1, -1)]
    assert scales == pytest.approx(fixture["group_lr_scales"], rel=1e-12)
    for reading in fixture["lr_in_effect_at_iteration"]:
        rates = [schedule(reading["iteration"], scale) for scale in scales]
        assert rates == pytest.approx(reading["lr"], rel=1e-9)


def test_what_is_left_out_of_the_decay(recipe: DepthRecipe) -> None:
    rows = json.loads(
        (FIXTURES / "layer_ids" / "mim_depth_swinv2_large.json").read_text(encoding="utf-8")
    )
    assert {row[2] for row in rows.values()} == {0.0, recipe.optimizer.weight_decay}
    assert recipe.optimizer.layer_rule == "mim_depth"
    assert recipe.optimizer.clip_norm is None and recipe.train.ema is None
    assert recipe.train.precision == "32"


def test_augmentation_in_the_order_of_the_code(recipe: DepthRecipe) -> None:
    """Every step of it is on; the counter of CutDepth became a probability, which `source` says."""
    published = {
        "cutdepth": 0.25,
        "cutdepth_share": 0.75,
        "cutdepth_paste": "published",
        "flip": 0.5,
        "crop": "random",
        "brightness_contrast": 0.5,
        "brightness": 0.2,
        "contrast": 0.2,
        "gamma": 0.5,
        "gamma_range": [80, 120],
        "hue_saturation": 0.5,
        "hue": 20,
        "saturation": 30,
        "value": 20,
    }
    shown = recipe.augmentation.model_dump(mode="json")
    assert published == {step: shown[step] for step in published}
    assert "with probability 1/4" in recipe.source
