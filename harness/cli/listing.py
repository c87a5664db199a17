"""`harness list`: what there is to choose from."""

from __future__ import annotations

import ast
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from harness.cli.output import as_json, columns
from harness.errors import UserError
from harness.plugins import TASKS, others, task, task_names

app = typer.Typer(rich_markup_mode=None)


@app.command()
def tasks() -> None:
    """List the tasks, those of installed plug-ins included."""
    ours = [(name, _first_line(target)) for name, target in TASKS.items()]
    typer.echo(columns([*ours, *others()]))


class _Plain(TyperCommand):
    """Called without arguments, it takes the defaults as they are, none of which needs coercing.

    typer has pydantic coerce every option, given or not: twice the time of the whole command.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args:
            return super().parse_args(ctx, args)
        ctx.params.update({str(option.name): option.default for option in self.params})
        return args


@app.command(cls=_Plain)
def backbones(
    objective: Annotated[
        str | None, typer.Option(help="Only those of one objective, such as simmim.")
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="Only those of one family, such as swinv2.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with all that is known of each.")
    ] = False,
) -> None:
    """List the named encoders, and which of them stands for an objective at which scale.

    `harness show backbone NAME` tells all about one. Those of other packages are listed where no
    objective and no family is asked for.
    """
    from harness.cli.encoders import offered, selected, standing, table

    entries = selected(objective, family)
    others = offered() if objective is None and family is None else []
    if json:
        typer.echo(as_json([*map(asdict, entries.values()), *others]))
        return
    typer.echo(table(entries))
    if objective is None and family is None:
        typer.echo(f"\nobjectives, by scale:\n{standing()}")
    if others:
        rows = columns((f"  {row['name']}", row["package"], row["about"]) for row in others)
        typer.echo(f"\nfrom other packages:\n{rows}")


@app.command()
def datasets() -> None:
    """List the data sets of each task."""
    typer.echo(
        columns(
            (name, dataset, about)
            for name in task_names()
            for dataset, about in _datasets(name).items()
        )
    )


@app.command()
def recipes() -> None:
    """List the recipes of each task: `<scale>` or `<scale>-<data set>`."""
    typer.echo(columns((name, stem) for name in task_names() for stem in _recipes(name)))


def _datasets(name: str) -> dict[str, str]:
    """Of a task, or why there is none to be had."""
    try:
        found = task(name)
        groups = {
            group: f"runs {', '.join(members)}: each in a folder of its name below the root"
            for group, members in found.groups.items()
        }
        return found.datasets | groups
    except UserError as error:
        return {"": f"cannot be used: {error}"}


def _recipes(name: str) -> list[str]:
    """Of a task, or why there is none to be had."""
    from harness.recipes import recipe_files

    try:
        return list(recipe_files(name))
    except UserError as error:
        return [f"cannot be used: {error}"]


def _first_line(target: str) -> str:
    """The first line of a module's docstring, read without importing it (and torch with it)."""
    spec = find_spec(target.partition(":")[0])
    if spec is None or spec.origin is None:
        return ""
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
