"""Which tasks there are: an explicit table, and entry points of other packages after it."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.contract import Task

TASKS: dict[str, str] = {
    "pose": "tasks.pose.task:Pose",
    "pretraining": "tasks.pretraining.task:Pretraining",
    "supervised_pretraining": "tasks.pretraining.supervised.task:SupervisedPretraining",
    "contrastive_pretraining": "tasks.pretraining.contrastive.task:ContrastivePretraining",
}


class UnknownNameError(ValueError):
    """A name that stands for nothing; the message gives the nearest ones."""


def unknown(kind: str, name: str, known: list[str], command: str) -> UnknownNameError:
    """An error for `name` with near matches and the command that lists all."""
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(f'`{n}`' for n in near)}? " if near else ""
    return UnknownNameError(f"there is no {kind} `{name}`: {hint}`{command}` lists all")


def task_names() -> list[str]:
    """The names of all tasks, ours first."""
    return [*TASKS, *(point.name for point in entry_points(group="harness.tasks"))]


@cache
def task(name: str) -> Task:
    """The task of that name.

    Raises:
        UnknownNameError: with the nearest names.
    """
    target = TASKS.get(name)
    if target is None:
        for point in entry_points(group="harness.tasks"):
            if point.name == name:
                plugin: Task = point.load()()
                return plugin
        raise unknown("task", name, task_names(), "harness list tasks")
    module, _, attribute = target.partition(":")
    found: Task = getattr(import_module(module), attribute)()
    return found
