"""A trained model measured on test data: one of ours, or one that was published whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import results
from harness import plugins, png, recipes, reopening
from harness.console import totals
from harness.engine import predicted, state, surroundings
from harness.errors import UserError
from results import Record, predictions
from tasks.contract import DataError, DataInfo, Evaluation, Published, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbones import Backbone
    from harness.console import Console
    from harness.options import RunOptions
    from tasks.contract import Row, Task, TaskDataset
    from tasks.recipe import TaskRecipe

RECORD = "record.json"
RECORDED = "beside ours: what the run's own record says"


@dataclass(frozen=True)
class Evaluated:
    """What was measured.

    Attributes:
        evaluation: the figures.
        published: metric -> the published figure, or of a run that is measured as it was before
            the recorded one, where one is known.
        notes: what has to be known of them.
        about: model, data and recipe, JSON-able.
        folder: where predictions and `evaluation.json` lie.
        seconds: that prediction took; None where another program predicted.
    """

    evaluation: Evaluation
    published: dict[str, float]
    notes: tuple[str, ...]
    about: dict[str, Any]
    folder: Path
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, and for the file beside the predictions."""
        metrics = {name: asdict(metric) for name, metric in self.evaluation.metrics.items()}
        return self.about | {
            "primary": self.evaluation.primary,
            "metrics": metrics,
            "published": self.published,
            "notes": list(self.notes),
            "evaluator": self.evaluation.evaluator,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class _Work:
    """What prediction needs: see `harness.engine.fit.Work`."""

    recipe: TaskRecipe
    options: RunOptions
    folder: Path


def evaluate(
    checkpoint: Path, options: RunOptions, console: Console, encoder: str | None = None
) -> Evaluated:
    """Measure a model on a test split, without training.

    Args:
        checkpoint: folder of a finished run, its record, or a published model's file.
        options: task, data set, scale, overrides; outcomes are written below `output`.
        encoder: name or file of a run's encoder, where the record's name no longer leads to it.

    Raises:
        UserError, DataError, RecipeError, LoadError: what the user can mend.
    """
    from harness.engine.fit import predict
    from harness.engine.signals import Signals

    task = plugins.task(options.task)
    record = _record_of(checkpoint)
    if record is None:
        recipe = recipes.resolve(replace(options, scale=options.scale or "paper"))
        found = task.published(checkpoint, recipe)
    else:
        found = _own(task, record, checkpoint, options, encoder)
    console.note(f"model: {checkpoint}")
    with console.phase(f"prepare {found.recipe.data.name}", None, "samples") as advance:
        task.prepare(found.recipe, totals(advance))
    dataset = task.dataset(found.recipe, "test")
    _require_what_was_trained(record, dataset)
    made = {"checkpoint": {"name": _file(checkpoint).name, "sha256": _sha256(_file(checkpoint))}}
    about = about_what(made, task, found.recipe, dataset)
    folder = options.output / task.name / about["evaluation"][:12]
    with Signals() as signals:
        work = _Work(found.recipe, options, folder)
        rows, seconds = predict(work, found.model, dataset, signals, console)
    evaluation, notes = figures(task, [rows], dataset)
    told = (*found.notes, *notes)
    measured = Evaluated(evaluation, found.figures, told, about, folder, seconds)
    write(measured, task, rows, dataset)
    predicted.clear(folder)
    return measured


def figures(
    task: Task, runs: Sequence[list[Row]], dataset: TaskDataset
) -> tuple[Evaluation, tuple[str, ...]]:
    """The figures of a model's predictions, of one run or several, and what has to be known of
    them; no figure where there is no truth to measure by."""
    if not task.has_truth(dataset):
        nothing = {"sample": [float(row["sample"]) for row in runs[0]]}
        note = (
            f"nothing is measured: `{dataset.info.name}` has no truth for its "
            f"{dataset.info.split} split; where a server has it, `harness export submission` "
            "packs the predictions"
        )
        return Evaluation(task.primary, {}, nothing, "none"), (note,)
    evaluations = [task.evaluate(rows, dataset) for rows in runs]
    return evaluations[0] if len(runs) == 1 else task.pooled(evaluations), ()


def _file(checkpoint: Path) -> Path:
    """A run's record, or a published model's file."""
    return checkpoint / RECORD if checkpoint.is_dir() else checkpoint


def _record_of(checkpoint: Path) -> Record | None:
    """The record of one of our runs; None of any other file."""
    file = _file(checkpoint)
    if not file.exists():
        raise UserError(f"there is no `{file}`: give a model's file, or the folder of a run")
    return reopening.finished(file) if file.name == RECORD else None


def _require_what_was_trained(record: Record | None, dataset: TaskDataset) -> None:
    """Refuse test data of other classes or joints than the network's, whose numbers would be taken
    for one another."""
    if len(dataset) == 0:
        raise DataError(f"the test split of `{dataset.info.name}` has no samples")
    if record is None:
        return
    # As JSON has it, where a tuple is a list.
    there = json.loads(json.dumps(dict(dataset.info.model)))
    trained = record.data["test"]["model"]
    if there != trained:
        keys = sorted(key for key in {*there, *trained} if there.get(key) != trained.get(key))
        raise DataError(
            f"`{dataset.info.name}` is other than what the run was trained for, in its "
            f"{', '.join(keys)}: take data of the same"
        )


def _own(
    task: Task, record: Record, checkpoint: Path, options: RunOptions, encoder: str | None
) -> Published:
    """A model of ours as it was after its last step; one that trains nothing as it always is."""
    if record.task != task.name:
        raise UserError(f"`{checkpoint}` is a run of `{record.task}`: give --task {record.task}")
    if record.control in ("constant", "untrained") or record.choice is not None:
        what = f"the control {record.control}" if record.control else "a probe"
        raise UserError(f"`{checkpoint}` is of {what}, which leaves no trained network behind")
    asked = recipes.load_resolved(task.name, record.recipe)
    backbone = encoder_of(task, record, asked, encoder)
    trained, _ = task.fitted(asked, backbone)
    recipe, _ = task.fitted(_with_other_data(task, record, asked, options), backbone)
    model = task.model(backbone, recipe, DataInfo(**record.data["training"]))
    saved = state.read(_file(checkpoint).parent, record.cell) if model.trained else None
    if saved is not None:
        average = saved["average"]
        model.load_state_dict(saved["model"] if average is None else average["values"])
    elif model.trained:
        raise UserError(f"`{checkpoint}` has no {state.NAME}: the trained network is gone")
    elif record.control == "random":
        backbone.initialise(record.seed)
    if recipe != trained:
        return Published(model, recipe, {})
    figures = {name: metric.value for name, metric in record.metrics.items()}
    return Published(model, recipe, figures, (RECORDED,))


def encoder_of(
    task: Task,
    record: Record,
    recipe: TaskRecipe,
    encoder: str | None = None,
    input_size: int | None = None,
) -> Backbone:
    """The encoder of a run, as its file has it; the run's parameters take the place of its own.

    Args:
        encoder: name or file, where the record's name no longer leads to it.
        input_size: side in pixels, where it is to be another than the recipe's.

    Raises:
        UserError: it cannot be had, or is another file.
    """
    import backbones

    made = task.encoder(recipe, record.seed)
    if made is not None:
        return made
    name = encoder or str(record.backbone["name"])
    try:
        found = backbones.load(
            name,
            input_size=input_size or recipe.backbone.input_size,
            drop_last=recipe.backbone.drop_last,
            drop_mode=recipe.backbone.drop_mode,
            seed=record.seed,
            arch=recipe.backbone.arch(),
        )
    except backbones.LoadError as error:
        raise UserError(f"{error}; give the run's encoder with --backbone") from None
    if found.spec.sha256 != record.backbone["sha256"]:
        raise UserError(
            f"`{name}` is not the file that the run began with: give that one with --backbone"
        )
    return found


def _with_other_data(
    task: Task, record: Record, recipe: TaskRecipe, options: RunOptions
) -> TaskRecipe:
    """The run's recipe, or with another data set's sections in it."""
    values = dict(record.recipe)
    if options.dataset not in (None, record.dataset):
        other = replace(options, sets=(), scale=options.scale or recipe.scale)
        there = _of(task, other).model_dump(mode="json")
        values |= {section: there[section] for section in task.of_data if section in there}
    return recipes.load_resolved(task.name, recipes.overridden(values, options))


def _of(task: Task, options: RunOptions) -> TaskRecipe:
    """The recipe of a data set, or of one without recipe files what says how it is scored."""
    assert options.dataset is not None
    try:
        recipes.recipe_file(options)
    except RecipeError as missing:
        try:
            sections = task.scored_as(options.dataset)
        except RecipeError:
            raise missing from None
        return recipes.resolve_sections(options, sections)
    return recipes.resolve(options)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def about_what(
    made: dict[str, Any], task: Task, recipe: TaskRecipe, dataset: TaskDataset
) -> dict[str, Any]:
    """What was measured on what, and a hash of it; `made` says what the predictions come from."""
    about = {
        "task": task.name,
        "task_version": task.version,
        **made,
        "data": dataset.info.sha256,
        "recipe": recipe.model_dump(mode="json"),
    }
    whole = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return about | {"evaluation": whole, "data": asdict(dataset.info)}


def write(
    found: Evaluated,
    task: Task,
    rows: list[Row],
    dataset: TaskDataset,
    drawn: list[Row] | None = None,
) -> None:
    """Predictions, picture and figures, each whole or not at all; `drawn` where a part of the rows
    is on the picture."""
    folder = found.folder
    files = {reopening.PREDICTIONS: predictions.write_rows(rows, folder / reopening.PREDICTIONS)}
    predictions.write_columns(found.evaluation.per_sample, folder / "per_sample.parquet")
    png.write(task.draw(drawn or rows, dataset), folder / "picture.png")
    versions = {"versions": surroundings.versions(), "git_commit": surroundings.git_commit()}
    text = json.dumps(found.as_dict() | versions | {"files": files}, indent=2, sort_keys=True)
    results.write_text(folder / reopening.EVALUATION, f"{text}\n")
