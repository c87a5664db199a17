"""How training is watched: averages over equal parts, and held-out samples that change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.console import Console
from harness.engine import dynamics
from harness.engine.held_out import HeldOut
from harness.engine.run import run
from results import predictions
from tests.harness.engine import toy

QUIET = Console(quiet=True)


def test_bins_are_means_over_parts_that_cover_every_step_once() -> None:
    curves = [{"step": k, "lr": 1.0, "loss": float(k), "box": k * 2.0} for k in range(7)]
    table = dynamics.table(curves, [], ["box"], 3)
    rows = [row for row in zip(*table.values(), strict=True) if row[1] == "box"]
    assert [(first, last) for _, _, _, first, last, _ in rows] == [(0, 2), (3, 4), (5, 6)]
    assert [value for *_, value in rows] == [2.0, 7.0, 11.0]
    assert set(zip(table["name"], table["noted"], strict=True)) == {("loss", False), ("box", True)}


def test_more_bins_than_steps_are_one_a_step() -> None:
    table = dynamics.table([{"step": 0, "lr": 1.0, "loss": 3.0}], [], [], 200)
    assert table["value"] == [3.0]


@pytest.mark.parametrize("points", [1, 4, 20, 99])
def test_the_last_point_is_the_last_step(points: int) -> None:
    recipe = toy.Toy.Recipe.model_validate(_recipe(points))
    watch = HeldOut(toy.ToyData("selection"), recipe, 30)
    due = [step for step in range(1, 31) if watch.due(step)]
    assert len(due) == min(points, 30)
    assert due[-1] == 30


def test_the_held_out_loss_is_that_of_all_samples_together() -> None:
    recipe = toy.Toy.Recipe.model_validate(_recipe(4) | {"train": {"batch_size": 2, "steps": 3}})
    model = toy.ToyModel(toy.ToyEncoder(0))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = HeldOut(toy.ToyData("selection"), recipe, 30).measure(model, torch.device("cpu"))
    at_once = recipe.model_copy(update={"train": recipe.train.model_copy(update={"batch_size": 5})})
    whole = HeldOut(toy.ToyData("selection"), at_once, 30).measure(model, torch.device("cpu"))
    assert found == pytest.approx(whole, rel=1e-5)
    assert found["loss"] == pytest.approx(found["squared"] + found["spread"] + found["size"])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_watching_changes_no_number(tmp_path: Path) -> None:
    watched = run(toy.options(tmp_path / "a"), QUIET)
    alone = run(toy.options(tmp_path / "b", "dynamics.points=0"), QUIET)
    assert watched.cell == alone.cell
    for name in ("predictions.parquet", "curves.csv"):
        assert watched.files[name] == alone.files[name]
    table = predictions.read_columns(next(tmp_path.glob("a/toy/toy/*/dynamics.parquet")))
    assert table["split"].count("held_out") == 4 * 5
    assert table["split"].count("training") == 6 * 5
    noted = dict(zip(table["name"], table["noted"], strict=True))
    assert [name for name, is_noted in noted.items() if is_noted] == ["weight"]


def _recipe(points: int) -> dict[str, object]:
    return {
        "task": "toy",
        "scale": "tiny",
        "backbone": {"input_size": [16, 16]},
        "data": {"name": "microworld"},
        "optimizer": {"lr": 0.03},
        "schedule": {"name": "cosine"},
        "train": {"batch_size": 6, "steps": 30},
        "dynamics": {"points": points, "samples": 5},
    }
