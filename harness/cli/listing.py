"""`harness list`: what there is to choose from."""

from __future__ import annotations

import ast
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import typer

from harness.cli.output import columns
from harness.plugins import TASKS, task, task_names

app = typer.Typer(rich_markup_mode=None)


@app.command()
def tasks() -> None:
    """List the tasks, those of installed plug-ins included."""
    ours = [(name, _first_line(target)) for name, target in TASKS.items()]
    others = [(point.name, point.value) for point in entry_points(group="harness.tasks")]
    typer.echo(columns([*ours, *others]))


@app.command()
def backbones() -> None:
    """List the named encoders, and which of them stands for an objective at which scale."""
    from backbones import catalogue, objectives

    rows = [
        (name, entry.objective, f"{entry.input_size} px", entry.licence, entry.about)
        for name, entry in catalogue().items()
    ]
    typer.echo(columns(rows))
    typer.echo("\nobjectives, by scale:")
    typer.echo(
        columns(
            (f"  {objective}", ", ".join(f"{scale}: {name}" for scale, name in scales.items()))
            for objective, scales in objectives().items()
        )
    )


@app.command()
def datasets() -> None:
    """List the data sets of each task."""
    typer.echo(
        columns(
            (name, dataset, about)
            for name in task_names()
            for dataset, about in task(name).datasets.items()
        )
    )


@app.command()
def recipes() -> None:
    """List the recipes of each task: `<scale>` or `<scale>-<data set>`."""
    from harness.recipes import recipe_files

    typer.echo(columns((name, stem) for name in task_names() for stem in recipe_files(name)))


def _first_line(target: str) -> str:
    """The first line of a module's docstring, read without importing it (and torch with it)."""
    spec = find_spec(target.partition(":")[0])
    if spec is None or spec.origin is None:
        return ""
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
