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
def check(
    file: Annotated[Path, typer.Argument(help="A checkpoint.")],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What the file does not tell, such as backbone.num_heads=3; repeatable.",
        ),
    ] = None,
) -> None:
    """Say which layout a checkpoint has and what would be used of it, and why."""
    import backbones
    from harness.recipes import backbone_arch

    typer.echo(backbones.check(file, backbone_arch(sets or ())))
