"""The smoke matrix: every task with every encoder, in seconds, in one process."""

from __future__ import annotations

import time
import traceback
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness import plugins

if TYPE_CHECKING:
    from harness.options import RunOptions


@dataclass(frozen=True)
class Outcome:
    """What became of a cell of the matrix.

    Attributes:
        task, backbone: the cell.
        seconds: wall time.
        said: the primary metric, or the first line of the error.
        trace: where the error came from; None where the cell passed.
    """

    task: str
    backbone: str
    seconds: float
    said: str
    trace: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the way is open."""
        return self.trace is None


def default_backbones() -> list[str]:
    """The objectives that a shipped encoder stands for at scale smoke, and `random`."""
    import backbones

    shipped = {name for name, entry in backbones.catalogue().items() if entry.shipped}
    standing = [name for name, by in backbones.objectives().items() if by.get("smoke") in shipped]
    return [*standing, "random"]


def default_tasks(dataset: str | None) -> list[str]:
    """The tasks with a smoke recipe, for that data set where one is named.

    Raises:
        UnknownNameError: no task knows the data set.
    """
    from harness.recipes import recipe_files

    names = [name for name in plugins.task_names() if "smoke" in recipe_files(name)]
    if dataset is None:
        return names
    known = [name for name in names if dataset in plugins.task(name).datasets]
    if not known:
        every = sorted({known for name in names for known in plugins.task(name).datasets})
        raise plugins.unknown("data set", dataset, every, "harness list datasets")
    return known


def matrix(tasks: Sequence[str], backbones: Sequence[str], shared: RunOptions) -> list[RunOptions]:
    """One cell a task and encoder, the other options being shared; one cell only for a task that
    makes its encoder itself.

    Raises:
        UnknownNameError: a task that does not exist.
        LoadError: an encoder that does not exist.
    """
    from backbones import resolve
    from tasks.contract import Task

    for backbone in backbones:
        if backbone != "random":
            resolve(backbone, "smoke")
    cells = []
    for name in tasks:
        makes_its_own = type(plugins.task(name)).encoder is not Task.encoder
        for backbone in backbones[:1] if makes_its_own else backbones:
            cells.append(replace(shared, task=name, backbone=backbone, scale="smoke"))
    return cells


def run_matrix(cells: Sequence[RunOptions], run: Callable[[RunOptions], Any]) -> Iterator[Outcome]:
    """Run each cell and yield what became of it; a failure does not end the matrix.

    Args:
        cells: what to run.
        run: from options to a record with `primary` and `metrics`.
    """
    for cell in cells:
        began = time.monotonic()
        try:
            record = run(cell)
            value = record.metrics[record.primary].value
            said, trace = f"{record.primary} {value:.4f}", None
            if record.status != "finished":
                said, trace = f"ended as {record.status}", f"record status {record.status}"
        except Exception as error:
            said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            trace = traceback.format_exc()
        yield Outcome(cell.task, cell.backbone, time.monotonic() - began, said, trace)


def junit(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as JUnit XML, which continuous integration knows how to show."""
    failures = sum(not outcome.passed for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    suite = ET.Element(
        "testsuite",
        name="harness smoke",
        tests=str(len(outcomes)),
        failures=str(failures),
        errors="0",
        time=f"{seconds:.3f}",
    )
    for outcome in outcomes:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"harness.smoke.{outcome.task}",
            name=outcome.backbone,
            time=f"{outcome.seconds:.3f}",
        )
        if outcome.trace is not None:
            ET.SubElement(case, "failure", message=outcome.said).text = outcome.trace
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
