"""Predictions that another program made, measured as ours are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness import plugins, recipes
from harness.console import totals
from harness.errors import UserError
from harness.evaluating import Evaluated, about_what, figures, write

if TYPE_CHECKING:
    from harness.console import Console
    from harness.options import RunOptions
    from tasks.contract import Predictions, Row


def score(
    folder: Path, options: RunOptions, console: Console, layout: str | None = None
) -> Evaluated:
    """Measure what another program predicted on a test split; no model is loaded.

    Args:
        folder: its files.
        options: task, data set, overrides; outcomes are written below `output`. The recipe says
            what is measured, on what data; everything else in it is of no account.
        layout: of the files; the one that they have where left out.

    Raises:
        UserError, DataError, RecipeError: what the user can mend.
    """
    task = plugins.task(options.task)
    dataset_name = options.dataset or next(iter(task.datasets))
    recipe = recipes.resolve_sections(options, task.scored_as(dataset_name))
    with console.phase(f"prepare {recipe.data.name}", None, "samples") as advance:
        task.prepare(recipe, totals(advance))
    dataset = task.dataset(recipe, "test")
    if len(dataset) == 0:
        raise UserError(f"the test split of `{dataset.info.name}` has no samples")
    found = task.read_predictions(folder, dataset, layout)
    made = {"predictions": {"name": folder.resolve().name, "sha256": _sha256(found)}}
    about = about_what(made, task, recipe, dataset)
    evaluation, notes = figures(task, found.runs, dataset)
    place = options.output / task.name / about["evaluation"][:12]
    measured = Evaluated(evaluation, {}, (*found.notes, *notes), about, place)
    write(measured, task, _numbered(found), dataset, found.runs[0])
    return measured


def _numbered(found: Predictions) -> list[Row]:
    """All rows, with their run where there are several."""
    if len(found.runs) == 1:
        return found.runs[0]
    return [row | {"run": run} for run, rows in enumerate(found.runs) for row in rows]


def _sha256(found: Predictions) -> str:
    return hashlib.sha256(repr(found.runs).encode()).hexdigest()
