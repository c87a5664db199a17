"""`harness smoke`: prove that every way is open."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DataRoot, Limit

if TYPE_CHECKING:
    from harness.smoke import Outcome


def smoke(
    backbone: Annotated[
        list[str] | None, typer.Option(help="Encoder; repeatable. All shipped ones by default.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Task; repeatable. All by default.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set, in place of microworld.")] = None,
    data_root: DataRoot = None,
    limit: Limit = None,
    junit: Annotated[Path | None, typer.Option(help="Write the outcome as JUnit XML.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Keep the runs here; thrown away by default.")
    ] = None,
) -> int:
    """Prove in seconds that every way is open: a line a cell, exit code 1 if one failed.

    Runs in one process at scale smoke: it learns nothing, the figures mean nothing.
    """
    from harness.console import Console
    from harness.engine.run import run
    from harness.options import RunOptions
    from harness.smoke import default_backbones, default_tasks, matrix, run_matrix
    from harness.smoke import junit as as_junit

    outcomes: list[Outcome] = []
    if junit is not None:
        _write(junit, as_junit(outcomes))
    with ExitStack() as stack:
        folder = output or Path(stack.enter_context(TemporaryDirectory(prefix="harness-smoke-")))
        shared = RunOptions(
            dataset=dataset, data_root=data_root, limit=limit, output=folder, workers=0
        )
        cells = matrix(task or default_tasks(dataset), backbone or default_backbones(), shared)
        for outcome in run_matrix(cells, lambda cell: run(cell, Console(quiet=True))):
            outcomes.append(outcome)
            verdict = "ok    " if outcome.passed else "FAILED"
            typer.echo(
                f"{verdict}  {outcome.task:<14}  {outcome.backbone:<12}  "
                f"{outcome.seconds:6.1f} s  {outcome.said}"
            )
    failed = sum(not outcome.passed for outcome in outcomes)
    typer.echo(f"{len(outcomes) - failed} of {len(outcomes)} passed")
    if junit is not None:
        _write(junit, as_junit(outcomes))
    return 1 if failed else 0


def _write(path: Path, text: str) -> None:
    """Also before the first run, so that a place that cannot be written to is found early."""
    from harness.errors import UserError
    from results import write_text

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise UserError(
            f"cannot write `{path}` ({error.strerror}): choose another place with --junit"
        ) from None
