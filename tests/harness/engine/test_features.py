"""Features of a fixed encoder are computed once, are those of the encoder, and survive kills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import backbones
from harness.console import Console
from harness.engine import features
from harness.engine.run import run
from harness.errors import Interrupted, UserError
from harness.features import feature_set
from harness.features.feature_set import FeatureSet
from harness.options import RunOptions
from results import Record
from results.predictions import read_columns
from tasks.classification.probing import ClassificationProbe
from tasks.contract import RecipeError
from tasks.model import TaskModel

QUIET = Console(quiet=True)
STILL = (
    "augmentation={flip: 0.0, half_body: 0.0, shift: 0.0, scale_probability: 0.0, rotation: 0.0}",
    "train.steps=6",
    "data.limit=8",
)

FEW = ("probe.knn.k=5", "probe.logistic.count=3")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of each test are its own; the world is rendered once."""
    folder = tmp_path_factory.mktemp("features")
    monkeypatch.setattr("harness.features.store.features", lambda: folder)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def options(output: Path, *sets: str, **given: Any) -> RunOptions:
    values: dict[str, Any] = {"task": "classification", "protocol": "frozen", "scale": "smoke"}
    values |= {"workers": 0, "sets": sets, "output": output} | given
    return RunOptions(**values)


def figures(record: Record) -> dict[str, Any]:
    return {name: metric.value for name, metric in record.metrics.items()} | record.files


class Counted:
    """How many images went through the encoder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images = 0
        plain = features._Extraction.predict_step

        def counting(module: Any, batch: dict[str, Any], number: int) -> int:
            self.images += len(batch["index"])
            return plain(module, batch, number)

        monkeypatch.setattr(features._Extraction, "predict_step", counting)


@pytest.mark.parametrize("kind", ["grid", "logistic", "knn"])
def test_a_probe_leaves_a_record_that_says_what_was_chosen(tmp_path: Path, kind: str) -> None:
    sets = (
        f"probe.kind={kind}",
        "probe.knn.k=5",
        "probe.features=[mean]",
        "probe.logistic.count=3",
    )
    record = run(options(tmp_path, *sets), QUIET)
    assert record.status == "finished"
    assert record.choice is not None
    assert record.step == 0
    assert record.encoder_at_step0 is not None
    assert record.encoder_at_step0["equals_file"]
    assert figures(run(options(tmp_path / "again", *sets), QUIET)) == figures(record)


def test_features_are_computed_once_for_all_probes_and_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    run(options(tmp_path), QUIET)
    assert counted.images == 36 + 12 + 24
    run(options(tmp_path, "probe.kind=knn", "probe.knn.k=5"), QUIET)
    run(options(tmp_path, seed=1), QUIET)
    run(options(tmp_path, control="permuted-labels"), QUIET)
    assert counted.images == 72
    run(options(tmp_path, control="random"), QUIET)
    assert counted.images == 144
    run(options(tmp_path, "test.crop_share=0.5"), QUIET)
    assert counted.images == 216


@pytest.mark.parametrize("control", [None, "permuted-labels"])
def test_nothing_that_a_probe_learns_from_is_true_under_permuted_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, control: str | None
) -> None:
    """Logistic regression is fitted again on the selection split."""
    given: dict[str, Any] = {}
    plain = ClassificationProbe.fit

    def watched(self: Any, training: Any, selection: Any, *rest: Any) -> Any:
        given.update(training=training.dataset, selection=selection.dataset)
        return plain(self, training, selection, *rest)

    monkeypatch.setattr(ClassificationProbe, "fit", watched)
    run(options(tmp_path, "probe.kind=logistic", FEW[1], control=control), QUIET)
    for split, data in given.items():
        true = data.opened.parts[split].labels[data.rows]
        assert sorted(data.labels) == sorted(true)
        assert (data.labels.tolist() == true.tolist()) == (control is None)


def test_the_norm_behind_the_encoder_makes_other_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no part of the encoder's hash, and `pooled` goes through it."""
    counted = Counted(monkeypatch)
    run(options(tmp_path / "fresh"), QUIET)
    plain = backbones.load

    def trained(*given: Any, **more: Any) -> Any:
        loaded = plain(*given, **more)
        torch.nn.init.constant_(loaded.fc_norm.weight, 2.0)
        return loaded

    monkeypatch.setattr(backbones, "load", trained)
    run(options(tmp_path / "trained"), QUIET)
    assert counted.images == 2 * 72


def test_a_run_goes_on_from_the_shards_that_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHARD", 16)
    sets = ("features.batch_size=4",)
    expected = run(options(tmp_path / "whole", *sets), QUIET)
    monkeypatch.setattr("harness.features.store.features", lambda: tmp_path / "features")
    plain, written = FeatureSet.write, []

    def dying(self: FeatureSet, shard: int, tensors: Any) -> None:
        if len(written) == 2:
            raise Interrupted(15)
        plain(self, shard, tensors)
        written.append(shard)

    monkeypatch.setattr(feature_set.FeatureSet, "write", dying)
    with pytest.raises(Interrupted):
        run(options(tmp_path / "cut", *sets), QUIET)
    monkeypatch.setattr(feature_set.FeatureSet, "write", plain)
    counted = Counted(monkeypatch)
    again = run(options(tmp_path / "cut", *sets), QUIET)
    assert counted.images == 72 - 32
    assert figures(again) == figures(expected)


def test_features_of_another_run_are_not_trusted_blindly(tmp_path: Path) -> None:
    run(options(tmp_path), QUIET)
    folder = features.Store().root
    victim = next(folder.glob("*/00000.safetensors"))
    victim.write_bytes(victim.read_bytes()[:-8])
    with pytest.raises(UserError, match="harness cache clear"):
        run(options(tmp_path, seed=1), QUIET)


def test_a_run_can_leave_nothing_in_the_cache(tmp_path: Path) -> None:
    kept = run(options(tmp_path / "kept"), QUIET)
    before = sorted(features.Store().root.rglob("*"))
    passing = run(options(tmp_path / "passing", "features.cache=false", seed=0), QUIET)
    assert sorted(features.Store().root.rglob("*")) == before
    assert not list(tmp_path.glob("passing/**/*.safetensors"))
    assert passing.cell == kept.cell
    assert figures(passing) == figures(kept)


def test_a_limit_is_said_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    with pytest.raises(UserError, match="more than the limit"):
        run(options(tmp_path, "features.limit_gb=0.00001"), QUIET)
    assert counted.images == 0


def test_a_feature_that_the_encoder_lacks_leaves_no_record(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"has \d+ blocks"):
        run(options(tmp_path, "probe.features=[mean@-99]"), QUIET)
    assert not list(tmp_path.rglob("record.json"))


def test_pose_trains_on_kept_features_as_on_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the rounding of products of batches of another size."""
    counted = Counted(monkeypatch)
    kept = run(options(tmp_path / "kept", *STILL, task="pose"), QUIET)
    assert counted.images == 8 + 8
    plain = run(options(tmp_path / "plain", *STILL, "features.cache=false", task="pose"), QUIET)
    assert counted.images == 16
    assert plain.cell == kept.cell
    losses = [
        [float(line.split(",")[2]) for line in path.read_text().splitlines()[1:]]
        for path in sorted(tmp_path.rglob("curves.csv"))
    ]
    assert len(losses[0]) == 6
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_depth_trains_on_kept_features_as_on_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its items have parts of uneven length; one takes 68 kB, so that one is remembered here."""
    monkeypatch.setattr(features, "REMEMBERED", 100_000)
    counted = Counted(monkeypatch)
    sets = ("augmentation.flip=0", "head.type=multiscale", "train.steps=6", "data.limit=4")
    kept = run(options(tmp_path / "kept", *sets, task="depth"), QUIET)
    assert counted.images == 4 + 4
    plain = run(options(tmp_path / "plain", *sets, "features.cache=false", task="depth"), QUIET)
    assert counted.images == 8
    assert plain.cell == kept.cell
    for name in ("RMSE", "AbsRel", "SILog"):
        assert kept.metrics[name].value == pytest.approx(plain.metrics[name].value, rel=1e-4)
    tables = [read_columns(path) for path in sorted(tmp_path.rglob("dynamics.parquet"))]
    assert tables[0]["name"] == tables[1]["name"]
    assert tables[0]["value"] == pytest.approx(tables[1]["value"], rel=1e-4)


def test_augmented_pose_computes_its_features_at_every_visit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    run(options(tmp_path, "data.limit=4", "train.steps=2", task="pose"), QUIET)
    assert counted.images == 0


def test_every_model_that_keeps_features_is_asked_for_them(tmp_path: Path) -> None:
    from tasks.classification.model import Classifier
    from tasks.pose.model import MeanPose, PoseModel

    assert TaskModel.has_features.fget is not None
    for model, has in ((PoseModel, True), (Classifier, True), (MeanPose, False)):
        assert TaskModel.has_features.fget(model.__new__(model)) == has
