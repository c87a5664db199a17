"""OpenMMLab's modules import without compiled mmcv and leave the process as it was."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks import openmmlab
from tasks.contract import DependencyError

ROOT = Path(__file__).parents[3]

_SCRIPT = """
import logging, sys, warnings
import cv2, torch

def state():
    scopes = None
    if "mmengine" in sys.modules:
        from mmengine.registry import DefaultScope
        scopes = dict(DefaultScope._instance_dict) or None
    root = logging.getLogger()
    return (scopes, cv2.getNumThreads(), torch.get_num_threads(), root.level, tuple(root.handlers),
            root.manager.disable, tuple(warnings.filters), torch.get_default_dtype())

torch.set_num_threads(1)
cv2.setNumThreads(3)
before = state()
import backbones, results, tasks, tasks.openmmlab
import tasks.pose.task, tasks.pose.data, tasks.pose.model
from tasks import openmmlab
for name in sys.argv[1:]:
    openmmlab.load(name)
openmmlab.load("mmpose.models.heads").HeatmapHead(8, 3)
openmmlab.load("mmpose.codecs").UDPHeatmap((32, 32), (8, 8))
after = state()
assert before == after, (before, after)

import mmcv.ops
import mmcv.ops.roi_align
from mmcv.ops import roi_align
assert callable(roi_align) and callable(mmcv.ops.roi_align), "the function stays the function"
from xtcocotools.coco import COCO

from mmcv.cnn import build_conv_layer
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from tasks.contract import DependencyError

builders = {
    "RoIPool": lambda: SingleRoIExtractor(dict(type="RoIPool", output_size=7), 8, [4]),
    "SoftNMS": lambda: mmcv.ops.SoftNMS(0.5),
    "DCN": lambda: build_conv_layer(dict(type="DCN"), 3, 3, 3),
    "DCNv2": lambda: build_conv_layer(dict(type="DCNv2"), 3, 3, 3),
}
for name, build in builders.items():
    try:
        build()
    except DependencyError as error:
        assert f"mmcv.ops.{name} is not served" in str(error), error
    else:
        raise AssertionError(name)
"""

MODULES = (
    "mmdet.models.detectors",
    "mmdet.models.roi_heads",
    "mmdet.evaluation",
    "mmpose.models.heads",
    "mmpose.codecs",
    "mmseg.models",
    "mmseg.evaluation",
)
"""What the tasks are made of, all in one process."""


@pytest.fixture
def without_openmmlab(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def hide(name: str, *rest: Any) -> Any:
        return None if name in openmmlab.PACKAGES else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", hide)
    for name in list(sys.modules):
        if name.partition(".")[0] in openmmlab.PACKAGES:
            monkeypatch.setitem(sys.modules, name, None)


def test_missing_packages_are_named_with_the_line_to_install(without_openmmlab: None) -> None:
    with pytest.raises(DependencyError) as caught:
        openmmlab.load("mmpose.no_such_module")
    line = str(caught.value)
    assert "\n" not in line and "mmpose" in line and "--no-deps" in line
    for requirement in openmmlab.PACKAGES.values():
        assert requirement in line


def test_the_process_is_left_as_it_was_and_what_is_not_served_refuses() -> None:
    """In a fresh process, with warnings as errors."""
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error::UserWarning", "-W", "error::ImportWarning"),
            *("-c", _SCRIPT, *MODULES),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
