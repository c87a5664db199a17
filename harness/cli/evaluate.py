"""`harness evaluate`: a trained or published model, measured without training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DataRoot, Limit, Scale, Sets, Workers
from harness.errors import UserError
from harness.options import RunOptions

if TYPE_CHECKING:
    from harness.console import Console
    from harness.evaluating import Evaluated


def evaluate(
    task: Annotated[str, typer.Option(help="What it does.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A published model's file, or the folder of a finished run."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="In its place: boxes of another tracker, a file a sequence."
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            help="Of the boxes: got10k, pytracking or lasot; the one that the files have, if left "
            "out."
        ),
    ] = None,
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
    Boxes of another tracker are measured as the data set's own figures are, or by another
    convention with --set measure.convention=...
    """
    from harness.cli.output import as_json, reserved_stdout
    from harness.console import Console
    from harness.elsewhere import score
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
    _require_one(checkpoint, boxes, layout, backbone)

    def measured(console: Console) -> Evaluated:
        if boxes is not None:
            return score(boxes, options, console, layout)
        assert checkpoint is not None
        return measure(checkpoint, options, console, backbone)

    if not json:
        console = Console(results=sys.stdout)
        _show(measured(console), console)
        return
    with reserved_stdout() as stdout:
        found = measured(Console())
        print(as_json(found.as_dict()), file=stdout)


def _require_one(
    checkpoint: Path | None, boxes: Path | None, layout: str | None, backbone: str | None
) -> None:
    if (checkpoint is None) == (boxes is None):
        raise UserError("give either `--checkpoint`, a model, or `--boxes`, what a tracker found")
    if boxes is None and layout is not None:
        raise UserError("`--layout` goes with `--boxes DIR`")
    if boxes is not None and backbone is not None:
        raise UserError("`--boxes` needs no encoder: leave `--backbone` out")


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
