"""The published recipes: rates as their code had them in effect, augmentation as timm reads it.

Fixtures: the rate of every layer group at stated steps, from the publications' own schedulers.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from timm.data import create_transform
from timm.data.random_erasing import RandomErasing

import tasks.classification
from harness.engine.schedule import Schedule
from tasks.classification.augmentation.settings import AugmentationRecipe, MixRecipe
from tasks.recipe import BackboneRecipe, OptimizerRecipe, ScheduleRecipe, TrainRecipe

FOLDER = Path(tasks.classification.__file__).parent / "recipes"
FIXTURES = Path(__file__).parents[2] / "fixtures/recipes/schedules"
PUBLISHED = {
    "paper-simmim": "simmim_finetune_vit_base",
    "paper-simmim-swin": "simmim_finetune_swin_base",
    "paper-simmim-swinv2": "simmim_finetune_swinv2_base",
    "paper-mae": "mae_finetune_vit_base",
}
NAMES = [*PUBLISHED, "paper-swin"]


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_shared_section_is_understood(name: str) -> None:
    found = read(name)
    assert found["task"] == "classification" and found["scale"] == "paper" and found["source"]
    backbone = BackboneRecipe.model_validate(found["backbone"])
    assert backbone.input_size == (224, 224)
    assert TrainRecipe.model_validate(found["train"]).epochs in (100, 30)
    # Held-out images would be missing from training, and from the steps of an epoch.
    assert found["data"] == {"name": "imagenet", "join_selection": True}
    assert set(found["head"]) == {"init_std", "smoothing"}
    assert found["test"] == {"crop_share": 0.875, "interpolation": "bicubic"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_rates_in_effect(name: str) -> None:
    found, fixture = read(name), json.loads((FIXTURES / f"{PUBLISHED[name]}.json").read_text())
    optimizer = OptimizerRecipe.model_validate(found["optimizer"])
    per_epoch, epochs = fixture["iterations_per_epoch"], fixture["epochs"]
    assert found["train"]["epochs"] == epochs
    assert 1281167 // found["train"]["batch_size"] == per_epoch
    rate = Schedule(
        ScheduleRecipe.model_validate(found["schedule"]),
        optimizer.lr,
        epochs * per_epoch,
        per_epoch,
    )
    scales = fixture["group_lr_scales"]
    last = len(scales) - 1
    for number, scale in enumerate(scales):
        assert optimizer.layer_decay ** (last - number) == pytest.approx(scale, rel=1e-12)
    for reading in fixture["lr_in_effect_at_iteration"]:
        for scale, expected in zip(scales, reading["lr"], strict=True):
            found_rate = rate(reading["iteration"], scale)
            assert found_rate == pytest.approx(expected, rel=1e-9, abs=1e-18)


def test_swins_rates() -> None:
    """Base rates of its configuration x 1024 / 512."""
    found = read("paper-swin")
    peak, schedule = found["optimizer"]["lr"], found["schedule"]
    rate = Schedule(ScheduleRecipe.model_validate(schedule), peak, 30 * 1251, 1251)
    assert rate(0) == pytest.approx(2 * 2e-8)
    assert max(rate(step) for step in range(0, 30 * 1251, 50)) <= peak == 2 * 2e-5
    assert rate(5 * 1251 + 1) == peak
    assert rate(30 * 1251) == pytest.approx(2 * 2e-7, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_augmentation_is_what_timm_makes_of_the_published_settings(name: str) -> None:
    found = read(name)
    recipe = AugmentationRecipe.model_validate(found["augmentation"])
    given = {"auto_augment": "rand-m9-mstd0.5-inc1", "interpolation": "bicubic"}
    erased = {"re_prob": 0.25, "re_mode": "pixel", "re_count": 1}
    steps = create_transform(224, is_training=True, color_jitter=0.4, **given, **erased).transforms
    kinds = ["RandomResizedCropAndInterpolation", "RandomHorizontalFlip", "RandAugment"]
    kinds += ["MaybeToTensor", "Normalize", "RandomErasing"]
    assert [type(step).__name__ for step in steps] == kinds
    crop, flip, layers, erasing = steps[0], steps[1], steps[2], steps[5]
    assert recipe.crop is not None and recipe.rand_augment is not None
    assert (recipe.crop.scale, recipe.crop.ratio) == (crop.scale, crop.ratio)
    assert crop.interpolation.value == recipe.interpolation
    assert recipe.flip == flip.p
    drawn, one = recipe.rand_augment, layers.ops[0]
    assert (drawn.num_layers, len(layers.ops)) == (layers.num_layers, 15)
    assert (drawn.magnitude, drawn.std) == (one.magnitude, one.magnitude_std)
    assert (drawn.probability, drawn.fill) == (one.prob, one.kwargs["fillcolor"])
    assert drawn.increasing and layers.ops[5].name == "SolarizeIncreasing"
    assert isinstance(erasing, RandomErasing) and recipe.erasing is not None
    assert recipe.erasing.probability == erasing.probability
    assert recipe.erasing.count == erasing.max_count == erasing.min_count
    assert recipe.erasing.area == (erasing.min_area, erasing.max_area)
    logs = [math.log(bound) for bound in recipe.erasing.ratio]
    assert logs == pytest.approx(erasing.log_aspect_ratio, rel=1e-12)
    mix = MixRecipe.model_validate(found["mix"])
    assert mix == MixRecipe(mixup=0.8, cutmix=1.0, probability=1.0, switch_probability=0.5)
