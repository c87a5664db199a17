"""Pose on a network of timm that has maps of its own, not tokens."""

from pathlib import Path

import backbones
from harness.testing import check_task
from tasks.pose.task import Pose
from tests.tasks.pose.folders import make, recipe


def test_a_convolutional_network_learns_poses(tmp_path: Path) -> None:
    arch = {"model": "test_resnet.r160_in1k"}
    encoder = backbones.create("timm_network", arch, (128, 128), seed=0)
    check_task(Pose(), recipe("smoke-folder", root=make(tmp_path / "set")), encoder)
