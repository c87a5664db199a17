"""Tasks of other packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import plugins
from tests.plugins import TASKS, offer, refused, shown

POSE = "from tasks.pose.task import Pose\n"
TASKS_OFFERED = {
    "mine = dict": "it is a Task, got dict",
    f"{POSE}class mine(Pose): ...": "its name is the one that it is offered under, got `pose`",
    f"{POSE}class mine(Pose):\n    name = 'mine'\n    Recipe = dict": "`Recipe` is derived from",
    f"{POSE}class mine(Pose):\n    name = 'mine'\n    def __init__(self): raise OSError('no')": (
        "`mine` of the package mine 1.0 cannot be made (OSError: no)"
    ),
    "from tasks.contract import Task\nclass mine(Task): ...": "cannot be made (TypeError: Can't",
}


@pytest.mark.parametrize("code", TASKS_OFFERED, ids=list(TASKS_OFFERED.values()))
def test_a_task_that_breaks_the_contract_is_refused_with_the_point(
    site: Path, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    offer(site, TASKS, "mine", code)
    said = refused(capsys, "run", "--task", "mine", "--scale", "smoke")
    assert "`mine` of the package mine 1.0" in said and TASKS_OFFERED[code] in said
    assert "cannot be used: `mine`" in shown(capsys, "list", "tasks")


def test_a_task_of_another_package_is_used_by_name(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(site, TASKS, "mine", f"{POSE}class mine(Pose):\n    'Poses of mine.'\n    name = 'mine'")
    assert "Poses of mine." in shown(capsys, "list", "tasks")
    rows = [line.split() for line in shown(capsys, "list", "recipes").splitlines()]
    assert ["mine", "smoke"] in rows
    assert plugins.task("mine").name == "mine"


def test_nobody_takes_the_name_of_a_task(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    offer(site, TASKS, "pose", f"{POSE}class pose(Pose): ...", package="squatter")
    said = refused(capsys, "run", "--task", "pose", "--scale", "smoke")
    assert "`pose` of the package squatter 1.0 has a name that is taken" in said
