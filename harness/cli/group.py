"""`harness run --dataset GROUP`: each data set of a group, and their mean."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from harness.errors import UserError

if TYPE_CHECKING:
    from harness.console import Console
    from harness.groups import GroupResult
    from harness.options import RunOptions


def run_group(
    options: RunOptions, cells: dict[str, RunOptions], *, dry_run: bool, json: bool
) -> None:
    """Run or plan all cells; with `json` print one object on stdout and nothing else there.

    Raises:
        UserError: several devices are asked for; or data sets are missing, the others have run.
    """
    from harness.cli.output import as_json, reserved_stdout
    from harness.console import Console

    if (options.devices or 1) > 1:
        # The other processes of a cell repeat the whole command, and would begin at the first set.
        raise UserError(
            f"--devices {options.devices} runs one data set at a time: name one of "
            f"{', '.join(cells)}, or leave --devices out"
        )
    if json:
        with reserved_stdout() as stdout:
            found = _all(options, cells, Console(), dry_run)
            print(as_json(found.as_dict()), file=stdout)
    else:
        found = _all(options, cells, Console(results=sys.stdout), dry_run)
        for line in lines(found):
            typer.echo(line)
    if found.missing:
        raise UserError(
            f"{len(found.missing)} of {len(cells)} data sets of `{found.name}` are missing, so "
            f"there is no mean: {', '.join(found.missing)}"
        )


def lines(found: GroupResult) -> list[str]:
    """The figures of a group as text."""
    width = max(map(len, [*found.records, *found.missing, "mean"]))
    said = []
    for name, record in found.records.items():
        figure = record.figure()
        error = "" if figure.error is None else f" ± {figure.error:.4f}"
        said.append(f"{name:<{width}}  {figure.value:.4f}{error}  {record.primary}")
    said += [f"{name:<{width}}  missing: {why}" for name, why in found.missing.items()]
    if (mean := found.mean) is not None:
        error = "" if mean[1] is None else f" ± {mean[1]:.4f}"
        said.append(f"{'mean':<{width}}  {mean[0]:.4f}{error}")
    return said


def _all(
    options: RunOptions, cells: dict[str, RunOptions], console: Console, dry_run: bool
) -> GroupResult:
    from harness.cli.run import perform
    from harness.groups import GroupResult, run_members
    from results import Record
    from tasks.contract import DataError

    assert options.dataset is not None
    if dry_run:
        missing = {}
        for name, cell in cells.items():
            try:
                perform(cell, console, True)
            except DataError as error:
                missing[name] = str(error)
        return GroupResult(options.dataset, {}, missing)

    def run(cell: RunOptions) -> Record:
        outcome = perform(cell, console, False)
        assert isinstance(outcome, Record)
        return outcome

    return run_members(options.dataset, cells, run)
