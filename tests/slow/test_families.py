"""Pose at scale smoke, from encoders of every family and stride, through the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.engine.families import CASES
from tests.harness.engine.test_families import check, finished, prepared

__all__ = ["prepared"]


@pytest.mark.parametrize("name", CASES)
def test_pose(name: str, tmp_path: Path) -> None:
    check(name, finished(name, tmp_path))
