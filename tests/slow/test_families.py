"""Tasks at scale smoke, from encoders of every family and stride, through the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.engine.families import CASES
from tests.harness.engine.test_families import check, finished, prepared

__all__ = ["prepared"]


@pytest.mark.parametrize("name", CASES)
def test_pose(name: str, tmp_path: Path) -> None:
    check(name, finished(name, tmp_path))


@pytest.mark.parametrize("task", ["depth", "detection", "tracking"])
@pytest.mark.parametrize("name", CASES)
def test_other_tasks(name: str, task: str, tmp_path: Path) -> None:
    record = finished(name, tmp_path, task=task)
    assert (record.status, record.step) == ("finished", 2)
    assert record.encoder_at_step0 is not None and record.encoder_at_step0["equals_file"]
    neck = {"hiera": "fpn", "swin": "fpn", "swinv2": "fpn", "convnext": "fpn"}.get(name, "simple")
    assert task != "detection" or record.recipe["neck"]["type"] == neck
