"""The task as a whole keeps the contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness import recipes
from harness.options import RunOptions
from harness.testing import check_task
from tasks.depth.task import Depth


def test_other_images_than_the_published_are_not_called_by_their_name() -> None:
    options = RunOptions(task="depth", scale="smoke", dataset="kitti", data_root=Path())
    named = "652 images, crop kitti_garg, 0.001-80 m"
    assert Depth().variant(recipes.resolve(options)) == named
    partial = replace(options, sets=("data.partial=true",))
    assert Depth().variant(recipes.resolve(partial)) == f"not the {named}"


def test_it_keeps_the_contract() -> None:
    check_task(Depth(), recipes.resolve(RunOptions(task="depth", scale="smoke")))
