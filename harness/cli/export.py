"""`harness export`: what a benchmark's server takes, written or checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import DataRoot, Sets
from harness.errors import UserError
from harness.options import RunOptions

app = typer.Typer(rich_markup_mode=None)

SHOWN = 10
"""So many problems are told in full."""


@app.command()
def submission(
    which: Annotated[
        str,
        typer.Argument(
            metavar="RECORD", help="Record file, run folder, cell, or folder of `harness evaluate`."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.zip", help="Archive to write.")],
    data_root: DataRoot = None,
    output: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
) -> None:
    """Write a run's predictions as the server of their test set takes them.

    Tracking: GOT-10k's test split and TrackingNet's, of which the truth is not published: `harness
    evaluate --checkpoint RUN --dataset got10k --set data.version=test` predicts on one, and its
    folder is what is given here.
    """
    from harness.exporting import submit

    written = submit(_source(which, output), out, data_root)
    lines = [f"{written.file}: {written.count} files"]
    typer.echo("\n".join([*lines, *(f"note: {note}" for note in written.notes)]))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="Archive to look through.")],
    dataset: Annotated[str, typer.Option(help="Data set: got10k or trackingnet.")],
    data_root: DataRoot = None,
    task: Annotated[str, typer.Option(help="What was done.")] = "tracking",
    sets: Sets = None,
) -> None:
    """Say what the server of a test set would not take in an archive.

    Names, lines as many as frames, four finite numbers each, the first box as given; nothing else
    in it.
    """
    from harness.exporting import problems

    options = RunOptions(task=task, dataset=dataset, data_root=data_root, sets=tuple(sets or ()))
    found = problems(file, options)
    for line in found[:SHOWN]:
        typer.echo(line)
    if found:
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        more = f", {len(found) - SHOWN} of them not shown" if len(found) > SHOWN else ""
        raise UserError(f"`{file}` has {count}{more}: the server would not take it")
    typer.echo(f"{file}: as the server of {dataset} takes it")


def _source(which: str, output: Path) -> Path:
    from harness.cli.show import find_record
    from harness.reopening import EVALUATION

    path = Path(which)
    if path.name == EVALUATION and path.is_file():
        return path
    return path / EVALUATION if (path / EVALUATION).is_file() else find_record(which, output)
