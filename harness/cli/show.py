"""`harness show` and `harness explain`: recipes, records, encoders and tasks in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Config, DataRoot, Scale
from harness.errors import UserError
from harness.options import RunOptions

app = typer.Typer(rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON in place of YAML.")]


@app.command()
def recipe(
    task: Annotated[str, typer.Argument(help="Name of a task.")],
    scale: Scale = None,
    dataset: Annotated[str | None, typer.Option(help="Data set.")] = None,
    config: Config = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a field; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Print the resolved recipe, as a file that `harness run --config` takes."""
    from harness.cli.output import as_json
    from harness.recipes import as_yaml, resolve

    options = RunOptions(
        task=task, scale=scale, dataset=dataset, config=config, sets=tuple(sets or ())
    )
    resolved = resolve(options)
    typer.echo(as_json(resolved) if json else as_yaml(resolved).rstrip())


@app.command()
def record(
    which: Annotated[
        str, typer.Argument(metavar="PATH|CELL", help="Record file, run folder, or cell.")
    ],
    output: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw its predictions into a folder, in place of print."),
    ] = None,
    sequence: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Draw one sequence, of a task that has such."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to: .gif, a film, or .png, a sheet of frames."),
    ] = None,
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Print a record, or draw what was predicted."""
    import yaml

    import results
    from harness.cli.output import as_json, plain

    if (sequence is None) != (out is None):
        raise UserError("`--sequence NAME` and `--out FILE` go together")
    if sequence is not None and pictures is not None:
        raise UserError("`--sequence NAME` does not go with `--pictures DIR`: give one of them")
    path = find_record(which, output)
    if sequence is not None and out is not None:
        _film(path, sequence, out, data_root, json)
        return
    if pictures is not None:
        _draw(path, pictures, data_root, json)
        return
    if data_root is not None:
        raise UserError("`--data-root` goes with `--pictures DIR` or `--sequence NAME`")
    found = results.read(path)
    if json:
        typer.echo(as_json(found))
    else:
        text = yaml.safe_dump(plain(found), sort_keys=False, allow_unicode=True, width=100)
        typer.echo(text.rstrip())


@app.command()
def backbone(
    name: Annotated[str, typer.Argument(help="Name of an encoder.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON in place of text.")] = False,
) -> None:
    """Show what is known of an encoder, whether its file is here, and with which it is compared."""
    from harness.cli.encoders import describe, page
    from harness.cli.output import as_json

    typer.echo(as_json(describe(name)) if json else page(name))


def explain(task: Annotated[str, typer.Argument(help="Name of a task.")]) -> None:
    """Say what a task trains and measures."""
    from harness.plugins import task as find

    typer.echo(find(task).explain().rstrip())


def _draw(path: Path, folder: Path, data_root: Path | None, json: bool) -> None:
    from harness import gallery
    from harness.cli.output import as_json

    found = gallery.gallery(path, data_root)
    written = gallery.write(found, folder)
    if json:
        typer.echo(as_json({"files": [str(file) for file in written], "notes": found.notes}))
        return
    typer.echo("\n".join([*map(str, written), *(f"note: {note}" for note in found.notes)]))


def _film(path: Path, sequence: str, out: Path, data_root: Path | None, json: bool) -> None:
    from harness import gallery
    from harness.cli.output import as_json

    written = gallery.film(path, sequence, out, data_root)
    typer.echo(as_json({"files": [str(written)]}) if json else str(written))


def find_record(which: str, output: Path) -> Path:
    """The record file that a path, a run folder or the beginning of a cell's hash stands for.

    Raises:
        UserError: none or several fit.
    """
    from results import read

    path = Path(which)
    if path.is_file():
        return path
    if (path / "record.json").is_file():
        return path / "record.json"
    # Folders have the first twelve digits of the hash.
    fitting = sorted(output.glob(f"*/*/{_literal(which[:12])}*/record.json"))
    if len(which) > 12:
        fitting = [found for found in fitting if read(found).cell.startswith(which)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        cells = ", ".join(f"`{found.parent.name}`" for found in fitting)
        raise UserError(f"`{which}` fits {len(fitting)} cells: {cells}; give more of the hash")
    raise UserError(
        f"there is no record `{which}` here or under `{output}`: give a record file, a run "
        "folder or a cell; `harness results list` lists all"
    )


def _literal(text: str) -> str:
    from glob import escape

    return escape(text.replace("/", "_"))
