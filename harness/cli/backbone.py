"""`harness backbone`: what a checkpoint file is, and how a published one is had."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import Offline, WeightsDir, apply

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Check a checkpoint, fetch a published one."""


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
    weights_dir: WeightsDir = None,
    offline: Offline = False,
) -> None:
    """Say which layout a checkpoint has and what would be used of it, and why."""
    import backbones
    from harness.console import Console
    from harness.fetching import download_shown
    from harness.recipes import backbone_arch

    apply(weights_dir, offline)
    arch = backbone_arch(sets or ())
    with download_shown(str(file), Console()) as progress:
        said = backbones.check(file, arch, progress)
    typer.echo(said)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of an encoder: `harness list backbones`.")],
    weights_dir: WeightsDir = None,
    offline: Offline = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Make sure that the file of a published encoder is there; download it where it is not.

    Licence and size are shown before anything comes. A download that broke off goes on when the
    command is repeated.
    """
    from harness.cli.output import as_json, columns, reserved_stdout

    apply(weights_dir, offline)
    if json:
        with reserved_stdout() as stdout:
            print(as_json(_fetch(name)), file=stdout)
        return
    found = _fetch(name)
    found["size"] = f"{found['size'] / 2**20:.1f} MiB"
    typer.echo(columns((key, str(value)) for key, value in found.items() if value is not None))


def _fetch(name: str) -> dict[str, Any]:
    """Where the file lies, its hash, and on what terms it is had."""
    from backbones.fetch import locate
    from backbones.hashes import digest
    from harness.console import Console
    from harness.fetching import download_shown

    with download_shown(name, Console()) as progress:
        located = locate(name, progress)
    terms = located.entry
    return {
        "name": name,
        "file": str(located.path),
        "sha256": digest(located.path),
        "size": located.path.stat().st_size,
        "licence": terms.licence if terms else None,
        "source": terms.source if terms else None,
    }
