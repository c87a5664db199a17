"""Several data sets under one name, such as `kornblith12`: each is a cell of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import fsum, sqrt
from typing import TYPE_CHECKING, Any

from harness import plugins
from tasks.contract import DataError

if TYPE_CHECKING:
    from harness.options import RunOptions
    from results import Record


@dataclass(frozen=True)
class GroupResult:
    """What became of a group.

    Attributes:
        name: of the group.
        records: data set -> its finished record.
        missing: data set -> why it could not be run.
    """

    name: str
    records: dict[str, Record]
    missing: dict[str, str]

    @property
    def mean(self) -> tuple[float, float | None] | None:
        """The mean of the sets' primary figures with its sampling error; None unless all are
        there."""
        if self.missing or not self.records:
            return None
        figures = [record.figure() for record in self.records.values()]
        errors = [figure.error for figure in figures if figure.error is not None]
        value = fsum(figure.value for figure in figures) / len(figures)
        if len(errors) < len(figures):
            return value, None
        return value, sqrt(fsum(error * error for error in errors)) / len(figures)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        mean = self.mean
        return {
            "group": self.name,
            "records": {name: r.model_dump(mode="json") for name, r in self.records.items()},
            "missing": self.missing,
            "mean": None if mean is None else {"value": mean[0], "error": mean[1]},
        }


def members(options: RunOptions) -> dict[str, RunOptions]:
    """The cells of the group that `--dataset` names, by data set; empty where it names none. Each
    set lies in a folder of its name below the given root."""
    names = plugins.task(options.task).groups.get(options.dataset or "", ())
    root = options.data_root
    return {
        name: replace(options, dataset=name, data_root=None if root is None else root / name)
        for name in names
    }


def run_members(
    group: str, cells: dict[str, RunOptions], run: Callable[[RunOptions], Record]
) -> GroupResult:
    """Run every cell whose data are there; a set that is not is named and leaves the others be."""
    records: dict[str, Record] = {}
    missing: dict[str, str] = {}
    for name, options in cells.items():
        try:
            records[name] = run(options)
        except DataError as error:
            missing[name] = str(error)
    return GroupResult(group, records, missing)
