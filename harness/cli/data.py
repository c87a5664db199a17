"""`harness data`: the data sets that are made here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The data set: microworld.")]
Root = Annotated[
    Path | None,
    typer.Option(help="Folder to keep it in, HARNESS_CACHE or the usual cache by default."),
]


@app.command()
def prepare(
    dataset: Name,
    scale: Annotated[
        Literal["smoke", "tiny", "paper"], typer.Option(help="For runs at this scale.")
    ] = "tiny",
    root: Root = None,
) -> None:
    """Render the data set into the cache, so that runs need not."""
    _known(dataset)
    from harness.console import Console, totals
    from tasks import microworld

    console = Console()
    with console.phase(f"prepare {dataset}", None, "samples") as advance:
        microworld.prepare_all(scale, totals(advance), root)
    console.note(f"{dataset} is prepared for scale {scale}")


@app.command()
def check(dataset: Name, root: Root = None) -> None:
    """Compare the files in the cache with their checksums."""
    _known(dataset)
    from tasks import microworld

    typer.echo(microworld.check(root))


@app.command()
def preview(
    dataset: Name,
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("preview.png"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the world.")] = 0,
) -> None:
    """Draw a sheet of samples with every annotation."""
    _known(dataset)
    from tasks import microworld

    microworld.preview(out, seed)
    typer.echo(f"{out}")


def _known(dataset: str) -> None:
    if dataset != "microworld":
        from harness.errors import UserError

        raise UserError(
            f"`{dataset}` is not made here, only `microworld` is; other data sets come from their "
            "owners: give their folder with `harness run --data-root`"
        )
