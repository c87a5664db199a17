"""The task as a whole keeps the contract."""

from __future__ import annotations

from harness import recipes
from harness.options import RunOptions
from harness.testing import check_task
from tasks.detection.task import Detection


def test_it_keeps_the_contract() -> None:
    check_task(Detection(), recipes.resolve(RunOptions(task="detection", scale="smoke")))


def test_it_says_what_becomes_of_difficult_objects() -> None:
    assert "`difficult` objects of Pascal VOC, which are taken for crowds" in Detection().explain()
