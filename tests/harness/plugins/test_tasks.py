"""Tasks of other packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import plugins
from tests.plugins import TASKS, both, offer, offer_more, refused, shown

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


@pytest.mark.filterwarnings("always::backbones.errors.RefusedOffer")
def test_a_task_of_ours_keeps_its_name(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = f"{POSE}class mine(Pose):\n    'Poses of mine.'\n    name = 'mine'\npose = mine\n"
    offer(site, TASKS, "pose", code, package="squatter")
    offer_more(site, "squatter", TASKS, "mine")
    taken = "`pose` of the package squatter 1.0 has a name that is taken and is not used"
    listed = shown(capsys, "list", "tasks").splitlines()
    assert [line for line in listed if taken in line and line.startswith("pose ")]
    assert [line for line in listed if "Poses of mine." in line]
    for words in (["list", "recipes"], ["show", "recipe", "pose"], ["explain", "pose"]):
        plugins.task.cache_clear()
        out, err = both(capsys, *words)
        assert err.startswith(f"note: {taken}") and err.count("\n") == 1
    assert out == plugins.task("pose").explain().rstrip() + "\n"
    assert type(plugins.task("pose")).__module__ == "tasks.pose.task"
    assert plugins.task("mine").name == "mine"
    rows = [line.split() for line in shown(capsys, "list", "recipes").splitlines()]
    assert rows.count(["pose", "smoke"]) == rows.count(["mine", "smoke"]) == 1
