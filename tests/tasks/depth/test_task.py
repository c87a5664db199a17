"""The task as a whole keeps the contract."""

from __future__ import annotations

from harness import recipes
from harness.options import RunOptions
from harness.testing import check_task
from tasks.depth.task import Depth


def test_it_keeps_the_contract() -> None:
    check_task(Depth(), recipes.resolve(RunOptions(task="depth", scale="smoke")))
