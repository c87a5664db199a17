"""Pose takes an encoder of any stride: its head follows, and the run ends with a record.

All families are in tests/slow/test_families.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.console import Console
from harness.engine.run import run
from harness.options import RunOptions
from results import Record
from tests.harness.engine.families import CASES, saved

QUIET = Console(quiet=True)


@pytest.fixture(scope="module", autouse=True)
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One folder of prepared scenes for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def finished(name: str, folder: Path, *sets: str, task: str = "pose") -> Record:
    """Run a task at scale smoke, few scenes and steps, with a new encoder read from its file."""
    options = RunOptions(
        backbone=str(saved(name, folder)),
        task=task,
        scale="smoke",
        output=folder / "runs",
        sets=("data.count.training=24", "data.count.selection=8", "data.count.test=8", *sets),
        max_steps=2,
        workers=0,
    )
    return run(options, QUIET)


def check(name: str, record: Record) -> None:
    """The record is whole, its recipe the one that the stride asks for, its encoder the file's."""
    family, _, stride, deconvolutions = CASES[name]
    assert record.status == "finished" and record.step == 2
    assert record.backbone["family"] == family
    assert record.encoder_at_step0 is not None and record.encoder_at_step0["equals_file"]
    assert record.metrics["AP"].n > 0
    side = round(128 / stride) * stride
    assert record.recipe["backbone"]["input_size"] == [side, side]
    assert record.recipe["head"]["deconv_channels"] == [32] * deconvolutions
    assert record.recipe["codec"]["heatmap_size"] == [side // stride * 2**deconvolutions] * 2
    assert any(f"stride is {stride}" in line for line in record.derived)
    assert record.identity["recipe"]["head"]["deconv_channels"] == [32, 32]


@pytest.mark.parametrize("name", ["vit14", "swin", "hiera"])
def test_pose(name: str, tmp_path: Path) -> None:
    check(name, finished(name, tmp_path))


def test_the_simple_head_takes_another_stride_too(tmp_path: Path) -> None:
    record = finished("swin", tmp_path, "head.type=simple")
    assert record.status == "finished" and "bilinear x8" in record.derived[-1]
