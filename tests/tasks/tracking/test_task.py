"""The contract of tasks, as plug-ins are held to it."""

from __future__ import annotations

from harness import recipes
from harness.options import RunOptions
from harness.testing import check_task
from tasks.tracking.task import Tracking


def test_the_contract() -> None:
    sets = ("data.count.training=4", "data.count.selection=2", "data.count.test=3")
    check_task(Tracking(), recipes.resolve(RunOptions(task="tracking", scale="smoke", sets=sets)))
