"""Tracking from command to record: with a fusion that is trained, and with nothing to train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.console import Console
from harness.engine.run import run
from harness.errors import UserError
from harness.evaluating import evaluate
from harness.options import RunOptions
from tests.harness.engine.families import saved
from tests.harness.engine.test_families import prepared

__all__ = ["prepared"]

FEW = ("data.count.training=4", "data.count.selection=2", "data.count.test=3")


def options(folder: Path, name: str, *sets: str, protocol: str = "finetune") -> RunOptions:
    return RunOptions(
        backbone=str(saved(name, folder)),
        task="tracking",
        protocol=protocol,  # type: ignore[arg-type]
        scale="smoke",
        output=folder / "runs",
        sets=(*FEW, *sets),
        max_steps=2,
        workers=0,
    )


def test_a_fusion_is_trained_on_a_hierarchical_encoder(tmp_path: Path) -> None:
    record = run(options(tmp_path, "swin"), Console(quiet=True))
    assert (record.status, record.step, record.primary) == ("finished", 2, "AO")
    assert record.metrics["AO"].n == 3
    assert record.encoder_at_step0 is not None and record.encoder_at_step0["equals_file"]


def test_where_nothing_is_trained_there_are_no_steps(tmp_path: Path) -> None:
    asked = options(tmp_path, "vit16", "model.type=correlation", protocol="frozen")
    record = run(asked, Console(quiet=True))
    assert (record.status, record.step, record.variant) == ("finished", 0, "correlation")
    assert record.cost is not None and record.cost["steps_executed"] == 0
    assert record.encoder_at_step0 is not None and record.encoder_at_step0["equals_file"]
    assert record.metrics["AO"].n == 3
    (folder,) = (tmp_path / "runs").glob("tracking/*/*")
    again = evaluate(
        folder,
        RunOptions(task="tracking", workers=0, output=tmp_path / "again"),
        Console(quiet=True),
        asked.backbone,
    )
    assert again.evaluation.metrics["AO"].value == record.metrics["AO"].value
    with pytest.raises(UserError, match="nothing is trained here"):
        run(replace(asked, control="permuted-labels"), Console(quiet=True))
