"""`harness inspect`: what goes on inside encoders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Offline, Results, Runs, WeightsDir, apply

if TYPE_CHECKING:
    from harness.analysis.asking import Inspection
    from harness.console import Console
    from results import Record


def inspect(
    encoders: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Encoders: a name, an objective, a file, `random`, or the folder of a run.",
        ),
    ],
    measure: Annotated[
        list[str] | None,
        typer.Option(help="attention, similarity, spectrum, probe or all; repeatable."),
    ] = None,
    images: Annotated[
        str, typer.Option(metavar="microworld|DIR", help="What they are looked at with.")
    ] = "microworld",
    n: Annotated[int | None, typer.Option(help="Number of images; 256 by default.")] = None,
    image: Annotated[
        int, typer.Option(min=0, help="Number of the image whose attention maps are shown.")
    ] = 0,
    input_size: Annotated[
        int | None, typer.Option(min=1, help="Side in pixels; each encoder's own by default.")
    ] = None,
    convention: Annotated[
        str, typer.Option(help="How attention is measured: ours, `rule`, or a public code's.")
    ] = "rule",
    pool: Annotated[
        bool,
        typer.Option("--pool", help="Compare encoders of different grids pooled to a common one."),
    ] = False,
    minibatch: Annotated[int, typer.Option(min=4, help="Images in a minibatch of CKA.")] = 32,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Images at once; changes speed, never values.")
    ] = 16,
    workers: Annotated[int, typer.Option(min=1, help="Processes; likewise.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of figures and page; in the output by default."),
    ] = None,
    output: Runs = Path("runs"),
    results: Results = None,
    weights_dir: WeightsDir = None,
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look inside encoders: attention, similarity of layers, spectrum, probes of every block.

    Leaves a record of each look in the results table, figures as PNG and SVG, and a page that says
    in words what they show.
    """
    from harness.analysis.asking import Inspection
    from harness.cli.output import as_json, reserved_stdout
    from harness.console import Console

    apply(weights_dir, offline)
    asked = Inspection(
        names=tuple(encoders),
        measures=_measures(measure),
        source=images,
        count=n,
        input_size=input_size,
        convention=convention,
        pool=pool,
        minibatch=minibatch,
        batch_size=batch_size,
        workers=workers,
        output=output,
        table=results,
    )
    folder = out or output / "inspection"
    if not json:
        console = Console(results=sys.stdout)
        page, _ = _inspected(asked, image, folder, console)
        console.show(page.read_text(encoding="utf-8"))
        console.show(f"page: `{page}`")
        return
    with reserved_stdout() as stdout:
        page, records = _inspected(asked, image, folder, Console())
        said = {"page": str(page), "records": [each.model_dump(mode="json") for each in records]}
        print(as_json(said), file=stdout)


def _measures(given: list[str] | None) -> tuple[str, ...]:
    from harness.analysis.rows import MEASURES
    from harness.plugins import unknown

    asked = given or ["all"]
    for name in asked:
        if name not in (*MEASURES, "all"):
            raise unknown("measure", name, [*MEASURES, "all"], "harness inspect --help")
    return tuple(each for each in MEASURES if each in asked or "all" in asked)


def _inspected(
    asked: Inspection, image: int, folder: Path, console: Console
) -> tuple[Path, list[Record]]:
    """Look, draw, and write the page."""
    from harness.analysis import attention_page, showing
    from harness.analysis.figures import draw
    from harness.analysis.inspecting import inspect
    from harness.analysis.page import page
    from results import write_text

    found, records = inspect(asked, console)
    figures = draw(found, folder)
    if "attention" in asked.measures:
        attention_page.write(folder / "attention.html", showing.panels(asked, image, console))
        figures = [*figures, folder / "attention.html"]
    path = folder / "README.md"
    write_text(path, page(found, figures))
    return path, records
