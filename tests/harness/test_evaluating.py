"""`harness evaluate` on runs of our own: the same figures again, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.console import Console
from harness.engine.run import run
from harness.errors import UserError
from harness.evaluating import evaluate
from results import Record
from tasks.contract import DataError, RecipeError, Split
from tests.harness.engine import toy

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    output = tmp_path_factory.mktemp("runs")
    record = run(toy.options(output, "train.ema=0.9"), QUIET)
    return record, next(output.glob("toy/toy/*"))


def test_a_run_measured_again_has_the_figures_of_its_record(
    finished: tuple[Record, Path], tmp_path: Path
) -> None:
    record, folder = finished
    for checkpoint in (folder, folder / "record.json"):
        found = evaluate(checkpoint, toy.options(tmp_path), QUIET)
        assert found.evaluation.metrics["error"].value == record.metrics["error"].value
        assert found.published == {"error": record.metrics["error"].value}
    written = json.loads((found.folder / "evaluation.json").read_text())
    assert written["metrics"]["error"]["value"] == record.metrics["error"].value
    assert (found.folder / "predictions.parquet").read_bytes() == (
        folder / "predictions.parquet"
    ).read_bytes()


def test_with_other_settings_nothing_recorded_stands_beside(
    finished: tuple[Record, Path], tmp_path: Path
) -> None:
    found = evaluate(finished[1], toy.options(tmp_path, "train.batch_size=3"), QUIET)
    assert found.published == {}


@pytest.mark.parametrize("control", ["constant", "untrained"])
def test_a_run_without_a_trained_network_is_refused(tmp_path: Path, control: str) -> None:
    run(toy.options(tmp_path, control=control), QUIET)
    with pytest.raises(UserError, match="no trained network"):
        evaluate(next(tmp_path.glob("toy/toy/*")), toy.options(tmp_path / "out"), QUIET)


def test_what_is_no_run_is_refused(finished: tuple[Record, Path], tmp_path: Path) -> None:
    options = toy.options(tmp_path)
    with pytest.raises(UserError, match="or the folder of a run"):
        evaluate(tmp_path / "nothing", options, QUIET)
    file = tmp_path / "model.pth"
    file.write_bytes(b"something")
    with pytest.raises(RecipeError, match="reads no published models"):
        evaluate(file, replace(options, scale="tiny"), QUIET)
    with pytest.raises(UserError, match="is a run of `toy`"):
        evaluate(finished[1], replace(options, task="pose"), QUIET)


def test_data_of_other_classes_are_refused(
    finished: tuple[Record, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = toy.ToyData.__init__

    def other(self: toy.ToyData, split: Split) -> None:
        made(self, split)
        self.info = replace(self.info, model={"classes": ["cat"]})

    monkeypatch.setattr(toy.ToyData, "__init__", other)
    with pytest.raises(DataError, match="other than what the run was trained for, in its classes"):
        evaluate(finished[1], toy.options(tmp_path), QUIET)


def test_a_run_whose_state_is_gone_is_refused(tmp_path: Path) -> None:
    run(toy.options(tmp_path), QUIET)
    folder = next(tmp_path.glob("toy/toy/*"))
    (folder / "state.ckpt").unlink()
    with pytest.raises(UserError, match="has no state"):
        evaluate(folder, toy.options(tmp_path / "out"), QUIET)


def test_a_run_is_measured_on_a_data_set_without_recipes_of_its_own(
    finished: tuple[Record, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(toy.Toy.datasets, "elsewhere", "without a recipe file")
    options = replace(toy.options(tmp_path), dataset="elsewhere")
    with pytest.raises(RecipeError, match="no recipe for `elsewhere` at scale"):
        evaluate(finished[1], options, QUIET)
    values = {"data": {"name": "elsewhere"}}
    monkeypatch.setattr(toy.Toy, "scored_as", lambda self, dataset: values)
    found = evaluate(finished[1], options, QUIET)
    assert found.about["recipe"]["data"]["name"] == "elsewhere"


def test_without_truth_a_run_is_refused_and_a_model_predicts_all_the_same(
    finished: tuple[Record, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.Toy, "has_truth", lambda self, dataset: False)
    with pytest.raises(DataError, match="has no truth, which a record needs: train on"):
        run(toy.options(tmp_path / "runs"), QUIET)
    found = evaluate(finished[1], toy.options(tmp_path), QUIET)
    assert found.evaluation.metrics == {}
    assert found.notes[-1].startswith("nothing is measured: `toy` has no truth")
    assert found.seconds is not None and found.seconds > 0
    written = json.loads((found.folder / "evaluation.json").read_text())
    digest = hashlib.sha256((found.folder / "predictions.parquet").read_bytes()).hexdigest()
    assert written["files"] == {"predictions.parquet": digest}
    assert digest == finished[0].files["predictions.parquet"]
