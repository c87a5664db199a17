"""`harness evaluate`: a trained or published model, measured without training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DataRoot, Limit, Scale, Sets, Workers
from harness.options import RunOptions

if TYPE_CHECKING:
    from harness.console import Console
    from harness.evaluating import Evaluated


def evaluate(
    checkpoint: Annotated[
        Path, typer.Option(help="A published model's file, or the folder of a finished run.")
    ],
    task: Annotated[str, typer.Option(help="What it does.")],
    dataset: Annotated[
        str | None, typer.Option(help="Data set; the recipe's own by default.")
    ] = None,
    data_root: DataRoot = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="A run's encoder, where its name no longer leads to the file."),
    ] = None,
    scale: Scale = None,
    sets: Sets = None,
    limit: Limit = None,
    workers: Workers = None,
    output: Annotated[Path, typer.Option(help="Folder of the outcomes.")] = Path("evaluations"),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a model on test data, without training.

    A published model is measured as its publication's recipe says (scale paper), and the published
    figures stand beside ours. A run is measured as its own recipe says, or on another data set.
    """
    from harness.cli.output import as_json, reserved_stdout
    from harness.console import Console
    from harness.evaluating import evaluate as measure

    options = RunOptions(
        task=task,
        dataset=dataset,
        data_root=data_root,
        scale=scale,
        sets=tuple(sets or ()),
        limit=limit,
        workers=workers,
        output=output,
    )
    if not json:
        console = Console(results=sys.stdout)
        _show(measure(checkpoint, options, console, backbone), console)
        return
    with reserved_stdout() as stdout:
        found = measure(checkpoint, options, Console(), backbone)
        print(as_json(found.as_dict()), file=stdout)


def _show(found: Evaluated, console: Console) -> None:
    from harness.cli.output import columns
    from harness.console import measured

    evaluation = found.evaluation
    names = sorted(evaluation.metrics, key=lambda name: name != evaluation.primary)
    rows = [("", "measured", "beside it" if found.published else "")]
    for name in names:
        known = found.published.get(name)
        beside = "" if known is None else f"{known:g}"
        star = " *" if name == evaluation.primary else ""
        rows.append((f"{name}{star}", measured(evaluation.metrics[name]), beside))
    lines = [columns(rows), *found.notes, f"outcomes: `{found.folder}`"]
    console.show("\n".join(lines))
