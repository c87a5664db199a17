"""A run's encoder looked into: what fine-tuning changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import call
from harness.engine import state
from results import Record, Table, read


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def finished(runs: Path, *words: str) -> Path:
    """The folder of a short run."""
    steps = ["--set", "train.steps=3"]
    asked = ["run", "--backbone", "simmim", "--task", "pose", "--scale", "smoke", *steps, *words]
    before = set(runs.glob("pose/*/*"))
    assert call([*asked, "--output", str(runs)]) == 0
    (folder,) = set(runs.glob("pose/*/*")) - before
    return folder


def looked_into(runs: Path, *names: str) -> dict[str, Record]:
    asked = ["inspect", *names, "--measure", "attention", "--n", "8"]
    assert call([*asked, "--output", str(runs)]) == 0
    table = Table(runs / "results.sqlite", create=False)
    return {r.backbone["name"]: r for r in table.records("inspection")}


def test_a_trained_encoder_is_another_than_its_file(runs: Path) -> None:
    folder = finished(runs, "--set", "optimizer.lr=0.01")
    found = looked_into(runs, "simmim", str(folder))
    own, after = (found[name] for name in sorted(found, key=len))
    assert after.backbone["name"] == f"simmim_vit_micro@pose-{folder.name}"
    saved = state.read(folder, read(folder).cell)
    assert saved is not None
    assert after.identity["backbone"]["parameters"] != own.identity["backbone"]["parameters"]
    names = [name for name in own.metrics if name.startswith("attention.distance/")]
    assert any(own.metrics[n].value != after.metrics[n].value for n in names)


def test_a_fixed_encoder_is_that_of_its_file(runs: Path) -> None:
    folder = finished(runs, "--protocol", "frozen", "--seed", "1")
    found = looked_into(runs, "simmim", str(folder))
    own = found["simmim_vit_micro"]
    after = found[f"simmim_vit_micro@pose-{folder.name}"]
    assert after.identity["backbone"]["parameters"] == own.identity["backbone"]["parameters"]
    assert after.metrics == own.metrics


def test_a_run_without_its_state_is_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(runs, "--seed", "2")
    (folder / state.NAME).unlink()
    assert call(["inspect", str(folder), "--measure", "spectrum", "--output", str(runs)]) == 2
    assert "the trained encoder is gone" in capsys.readouterr().err
