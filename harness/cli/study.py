"""`harness study`: a file of cells, run in order and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Offline, Results, Runs, WeightsDir, Workers

if TYPE_CHECKING:
    from harness.studies.executor import Outcome


def study(
    file: Annotated[Path, typer.Argument(help="A study file, see `studies/`.")],
    output: Runs = Path("runs"),
    results: Results = None,
    workers: Workers = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the commands, run nothing.")
    ] = False,
    weights_dir: WeightsDir = None,
    offline: Offline = False,
) -> int:
    """Run a file of cells and compare them.

    Finished runs are not repeated, interrupted ones continue. A run that fails does not keep the
    others from running; the exit code is then 1.
    """
    from harness.options import RunOptions, as_command
    from harness.studies import curve
    from harness.studies.executor import OneAfterAnother
    from harness.studies.model import expand, read
    from harness.studies.table import groups_of, line, scores_in, summary

    found = read(file)
    curve.lines(found)  # Refused now, and not after hours.
    given = RunOptions(
        output=output, results=results, workers=workers, weights_dir=weights_dir, offline=offline
    )
    jobs = expand(found, given)
    if dry_run:
        for job in jobs:
            typer.echo(as_command(job.options))
        return 0
    typer.echo(f"{found.name}: {len(found.cells)} cells x {len(found.seeds)} seeds")
    outcomes: list[Outcome] = []
    for outcome in OneAfterAnother().run(jobs):
        outcomes.append(outcome)
        typer.echo(line(outcome))
    typer.echo("\n" + summary(found, outcomes))
    groups = groups_of([cell.name for cell in found.cells], outcomes)
    for path in curve.draw(found, groups, scores_in(outcomes), output / "studies"):
        typer.echo(f"figure: {path}")
    return 0 if all(outcome.record is not None for outcome in outcomes) else 1
