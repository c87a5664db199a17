"""Which tasks there are: an explicit table, and entry points of other packages after it.

Entry points are of the group `harness.tasks`; what is offered is a `Task`.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from inspect import getdoc
from typing import TYPE_CHECKING

from backbones.errors import LoadError
from backbones.offers import Offer, offered, offers, refusal, said
from harness.errors import UserError

if TYPE_CHECKING:
    from tasks.contract import Task

TASKS: dict[str, str] = {
    "pose": "tasks.pose.task:Pose",
    "classification": "tasks.classification.task:Classification",
    "depth": "tasks.depth.task:Depth",
    "tracking": "tasks.tracking.task:Tracking",
    "detection": "tasks.detection.task:Detection",
    "pretraining": "tasks.pretraining.task:Pretraining",
    "supervised_pretraining": "tasks.pretraining.supervised.task:SupervisedPretraining",
    "contrastive_pretraining": "tasks.pretraining.contrastive.task:ContrastivePretraining",
}

GROUP = "harness.tasks"


class UnknownNameError(ValueError):
    """A name that stands for nothing; the message gives the nearest ones."""


def unknown(kind: str, name: str, known: list[str], command: str) -> UnknownNameError:
    """An error for `name` with near matches and the command that lists all."""
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(f'`{n}`' for n in near)}? " if near else ""
    return UnknownNameError(f"there is no {kind} `{name}`: {hint}`{command}` lists all")


def task_names() -> list[str]:
    """The names of all tasks, ours first; an offer under one of these adds none."""
    return list(dict.fromkeys([*TASKS, *(offer.name for offer in offers(GROUP))]))


def others() -> list[tuple[str, str]]:
    """The tasks of other packages: name, and what is said of each, or why it cannot be had."""
    return [(offer.name, _about(offer)) for offer in offers(GROUP)]


def _about(offer: Offer) -> str:
    if offer.name in TASKS:
        return f"cannot be used: {refusal(offer)}"
    try:
        found = task(offer.name)
    except UserError as error:
        return f"cannot be used: {error}"
    return (getdoc(found) or offer.package).partition("\n")[0]


@cache
def task(name: str) -> Task:
    """The task of that name; ours where another package offers one under the same, of which
    `RefusedOffer` warns.

    Raises:
        UnknownNameError: with the nearest names.
        UserError: another package offers it, and it cannot be had or is no task.
    """
    try:
        offer = offered(GROUP, name, TASKS)
        if offer is not None:
            return _checked(offer)
    except LoadError as error:
        raise UserError(str(error)) from error
    target = TASKS.get(name)
    if target is None:
        raise unknown("task", name, task_names(), "harness list tasks")
    module, _, attribute = target.partition(":")
    found: Task = getattr(import_module(module), attribute)()
    return found


def _checked(offer: Offer) -> Task:
    """What is offered, in so far as it can be checked without data; `harness.testing.check_task`
    does the rest."""
    from tasks.contract import Task
    from tasks.recipe import TaskRecipe

    try:
        found = offer.get()()
    except LoadError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{offer.who} cannot be made ({said(error)})") from error
    broken = f"{offer.who} breaks the contract of tasks: "
    if not isinstance(found, Task):
        raise UserError(f"{broken}it is a Task, got {type(found).__name__}")
    for attribute in ("name", "version", "primary", "recipes", "datasets", "Recipe"):
        if not hasattr(found, attribute):
            raise UserError(f"{broken}it has the attribute `{attribute}`")
    if found.name != offer.name:
        raise UserError(f"{broken}its name is the one that it is offered under, got `{found.name}`")
    if not (isinstance(found.Recipe, type) and issubclass(found.Recipe, TaskRecipe)):
        raise UserError(f"{broken}`Recipe` is derived from tasks.recipe.TaskRecipe")
    if not found.recipes.is_dir():
        raise UserError(f"{broken}`recipes` is a folder, got `{found.recipes}`")
    return found
