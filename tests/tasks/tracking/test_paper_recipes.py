"""The published recipes say what SwinTrack's code does, and run with narrow encoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import backbones
from harness.engine import optimizer
from harness.engine.schedule import Schedule
from tasks.tracking.building import build
from tasks.tracking.recipe import TrackingRecipe
from tests.tasks.tracking.networks import images

HOUSE = Path(__file__).parents[3]
RECIPES = HOUSE / "tasks" / "tracking" / "recipes"
SCHEDULE = HOUSE / "tests" / "fixtures" / "recipes" / "schedules" / "swintrack_base.json"

TABLE: dict[str, dict[str, Any]] = {
    "paper": {"sizes": (112, 224), "model": (384, 8, 4, 1), "batch": 8 * 128, "blocks": 12},
    "paper-base": {"sizes": (112, 224), "model": (512, 8, 8, 1), "batch": 8 * 64, "blocks": 24},
    "paper-base-384": {"sizes": (192, 384), "model": (512, 8, 8, 1), "batch": 8 * 64, "blocks": 24},
}
EVERY = [*TABLE, *(f"{name}-lasot" for name in TABLE)]


def recipe(name: str) -> TrackingRecipe:
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    return TrackingRecipe.model_validate(yaml.safe_load(text))


@pytest.mark.parametrize("name", EVERY)
def test_the_published_settings(name: str) -> None:
    found, row = recipe(name), TABLE[name.removesuffix("-lasot")]
    template, search = row["sizes"]
    assert found.crop.template_size == (template, template)
    assert found.backbone.input_size == (search, search)
    model = found.model
    assert (model.dim, model.heads, model.encoder_blocks, model.decoder_blocks) == row["model"]
    assert (model.type, model.stride, model.drop_path, model.drop_path_from) == (
        *("swintrack", 16),
        *(0.1, 0.5),
    )
    assert (found.data.pairs, found.data.max_gap) == (131072, 100)
    assert (found.train.batch_size, found.train.epochs) == (row["batch"], 300)
    assert (found.optimizer.lr, found.optimizer.weight_decay, found.optimizer.clip_norm) == (
        *(5e-4, 1e-4),
        0.1,
    )
    assert found.train.ema is None
    # In theirs, which ends before stage 4's two blocks, drop path is 0.2 at its last one.
    rate = found.backbone.drop_path * (row["blocks"] - 3) / (row["blocks"] - 1)
    assert rate == pytest.approx(0.2, abs=5e-5)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_trained_on_and_measured(name: str) -> None:
    found = recipe(name)
    sets = [(one.name, one.weight) for one in found.data.sets]
    if name.endswith("-lasot"):
        assert sets == [("got10k", 1), ("lasot", 1), ("trackingnet", 1), ("coco", 1)]
        assert found.data.name == found.measure.convention == "lasot"
    else:
        assert not sets
        assert found.data.name == found.measure.convention == "got10k"


@pytest.mark.parametrize("name", EVERY)
def test_the_published_schedule(name: str) -> None:
    """Base's steps are those of the fixture; the others' lie at the same shares of the run."""
    fixture = json.loads(SCHEDULE.read_text())
    found = recipe(name)
    steps = found.data.pairs // found.train.batch_size
    if "base" in name:
        assert steps == fixture["iterations_per_epoch"]
    schedule = Schedule(found.schedule, found.optimizer.lr, 300 * steps, steps)
    share = steps / fixture["iterations_per_epoch"]
    read = 0
    for reading in fixture["lr_in_effect_at_iteration"]:
        step = reading["iteration"] * share
        if step == int(step):
            read += 1
            rates = [schedule(int(step), scale) for scale in (0.1, 1.0)]
            assert rates == pytest.approx(reading["lr"], rel=1e-9)
    assert read >= 8


@pytest.mark.parametrize("name", TABLE)
def test_two_steps_with_a_narrow_encoder(name: str) -> None:
    """Overridden: the encoder and the fusion are narrow, the batch is of two. Sizes, windows and
    rates are the published ones: the encoder's a tenth, all of it decays, the norm of its map with
    the fusion; a template is one window of the encoder."""
    found = recipe(name)
    side = found.crop.template_size[0] // 16
    arch = {"embed_dim": 8, "depths": (1, 1, 2, 1), "num_heads": 1, "window_size": side}
    given = found.backbone
    backbone = backbones.create(
        "swin",
        arch | (given.arch() or {}),
        given.input_size,
        seed=0,
        drop_path=given.drop_path,
    )
    narrow = {"dim": 32, "encoder_blocks": 2}
    found = found.model_copy(update={"model": found.model.model_copy(update=narrow)})
    model = build(backbone, found).train()
    model.initialise(0)
    placed = optimizer.placements(model, found)
    assert all(place.decays for place in placed.values())
    for parameter, place in placed.items():
        expected = 0.1 if parameter.startswith("backbone.") else 1.0
        assert place.scale == expected, parameter
    assert "norm.weight" in placed and "backbone.encoder.norm.weight" not in placed
    adam = optimizer.build(model, found)
    box = torch.tensor([[60.0, 70.0, 120.0, 110.0], [0.5, 30.0, 40.0, 99.0]])
    batch = {
        "template": images(2, found.crop.template_size),
        "image": images(2, given.input_size, seed=4),
        "box": box,
    }
    values = []
    for step in range(2):
        model.set_progress(step / 2)
        model.set_sample_keys(torch.tensor([2 * step, 2 * step + 1]))
        terms = model.loss(batch)
        total = terms["varifocal"].value + terms["giou"].value  # type: ignore[union-attr]
        adam.zero_grad()
        torch.autograd.backward(total)
        adam.step()
        values.append(total.item())
    assert values[-1] < values[0]
    assert model.match(model.template(batch["template"] / 255), batch["image"] / 255).scores.shape[
        1:
    ] == (2 * side, 2 * side)
