"""Layer, rate and decay of every parameter under the recipes of scale `paper`, at each iteration
that the publications' code was run to. Widths do not matter: the encoders are narrow."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import backbones
from harness.engine.optimizer import placements
from harness.engine.schedule import Schedule
from tasks.contract import DataInfo
from tasks.pose.model import PoseModel
from tasks.pose.recipe import PoseRecipe
from tests.tasks.pose.folders import recipe

FIXTURES = Path(__file__).parents[2] / "fixtures/recipes"
VIT = {"embed_dim": 24, "depth": 12, "patch_size": 16, "num_heads": 1}
SWIN = {"embed_dim": 2, "depths": (2, 2, 18, 2), "num_heads": 1, "window_size": 2}


def of_vit(name: str) -> str:
    name = name.removeprefix("keypoint_").replace("backbone.", "backbone.encoder.", 1)
    return name.replace("last_norm", "norm")


def of_swin(name: str) -> str:
    name = re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) + 1}.downsample", name)
    return of_vit(name).replace("rpe_mlp", "cpb_mlp")


class Case(NamedTuple):
    """A publication's run, and what ours is called and made of.

    Attributes:
        rows: file of its parameters, each with layer, factor on the rate and decay.
        schedule: file of its rates.
        ours: the name in our model of one of its parameters.
        without: parameters of ours that it has not.
    """

    recipe: str
    head: str
    rows: str
    schedule: str
    family: str
    arch: dict[str, Any]
    ours: Callable[[str], str]
    without: set[str]


CLASS_TOKEN = {"backbone.encoder.cls_token"}
CASES = [
    Case("paper", "deconvolution", "vitpose_base", "vitpose_base", "vit", VIT, of_vit, CLASS_TOKEN),
    Case("paper", "simple", "vitpose_base_simple", "vitpose_base", "vit", VIT, of_vit, CLASS_TOKEN),
    Case(
        *("paper-swinv2", "deconvolution", "pct_pose_swinv2_base", "pct_pose_swinv2_base"),
        *("swinv2", SWIN, of_swin, set()),
    ),
]


@pytest.fixture(scope="module", params=CASES, ids=[case.rows for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def given(case: Case) -> PoseRecipe:
    read = recipe(case.recipe)
    return read.model_copy(update={"head": read.head.model_copy(update={"type": case.head})})


def read(kind: str, name: str) -> Any:
    return json.loads((FIXTURES / kind / f"{name}.json").read_text())


def test_every_parameter_is_placed_as_published(case: Case) -> None:
    asked = given(case)
    backbone = backbones.create(case.family, case.arch, asked.backbone.input_size, seed=0)
    info = DataInfo("", "training", 1, "", "", model={"flip": list(range(17))})
    found = placements(PoseModel(backbone, asked, info), asked)
    # A row of nothing is a parameter that is not trained: PCT's last norm.
    rows = {case.ours(name): row for name, row in read("layer_ids", case.rows).items() if row}
    assert set(rows) == set(found) - case.without
    for name, (layer, scale, decay) in rows.items():
        place = found[name]
        assert (place.layer, place.decays) == (layer, decay > 0), name
        assert place.scale == pytest.approx(scale, rel=1e-12), name
        assert decay in (0, asked.optimizer.weight_decay)


def test_rates_in_effect(case: Case) -> None:
    asked, schedule = given(case), read("schedules", case.schedule)
    per_epoch = schedule["iterations_per_epoch"]
    assert asked.train.epochs == schedule["epochs"]
    rate = Schedule(asked.schedule, asked.optimizer.lr, schedule["epochs"] * per_epoch, per_epoch)
    for reading in schedule["lr_in_effect_at_iteration"]:
        for scale, expected in zip(schedule["group_lr_scales"], reading["lr"], strict=True):
            assert rate(reading["iteration"], scale) == pytest.approx(expected, rel=1e-9)
