"""`harness backbone`: what a checkpoint file is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Say what a checkpoint file is."""


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A checkpoint.")]) -> None:
    """Say which layout a checkpoint has and what would be used of it, and why."""
    import backbones

    typer.echo(backbones.check(file))
