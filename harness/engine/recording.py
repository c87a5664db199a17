"""What a run leaves behind: its files, and the record at each change of status."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import results
from harness import png, recipes
from harness.engine import dynamics, surroundings
from harness.engine.logging import run_id
from results import Record, predictions

if TYPE_CHECKING:
    from harness.engine.execute import Outcome
    from harness.engine.plan import Plan
    from tasks.contract import Evaluation

Files = dict[str, str]
"""File name -> sha256."""


def now() -> str:
    """The time in UTC, ISO 8601. Of two records of a cell the table keeps the later one, and two
    may be written within a millisecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def begin(plan: Plan, command: str, before: Record | None, resumed_from_step: int | None) -> Record:
    """The record of a run that has begun, or goes on from what `before` left."""
    spec, options = plan.backbone.spec, plan.options
    return Record(
        status="running",
        step=resumed_from_step or 0,
        primary=plan.task.primary_of(plan.recipe),
        resumed_from_step=resumed_from_step,
        cell=plan.cell,
        identity=plan.identity,
        task=plan.task.name,
        backbone={
            "name": spec.name,
            "family": spec.family,
            "objective": spec.objective,
            "sha256": spec.sha256,
            "licence": spec.licence,
            "data": spec.data,
            "notes": list(spec.notes),
        },
        dataset=plan.recipe.data.name,
        protocol=plan.recipe.protocol,
        variant=plan.task.variant(plan.recipe),
        scale=plan.recipe.scale,
        control=options.control,
        seed=options.seed,
        recipe=plan.recipe.model_dump(mode="json"),
        derived=list(plan.derived),
        key_report=plan.backbone.key_report.as_dict(),
        data={split: asdict(data.info) for split, data in plan.datasets.items()},
        versions=surroundings.versions(),
        git_commit=surroundings.git_commit(),
        command=command,
        logger={"name": options.logger, "run_id": run_id(plan)},
        created=before.created if before is not None else now(),
        updated=now(),
    )


def ended(record: Record, status: str, reason: str, step: int) -> Record:
    """The record of a run that stopped before its end, with the step whose state is saved."""
    return record.model_copy(
        update={"status": status, "reason": reason, "step": step, "updated": now()}
    )


def finish(
    record: Record,
    plan: Plan,
    outcome: Outcome,
    evaluation: Evaluation,
    files: Files,
    wall_seconds: float,
) -> Record:
    """The record of a finished run.

    Its cost: `train_seconds` and `samples_per_second` are of all steps, whichever process took
    them, and `evaluation_seconds` of all test samples; `wall_seconds` and `steps_executed` are of
    this process.
    """
    visits = len(outcome.curves) * plan.recipe.train.batch_size
    rate = visits / outcome.train_seconds if visits else None
    metrics = {name: asdict(metric) for name, metric in evaluation.metrics.items()}
    return Record.model_validate(
        record.model_dump()
        | {
            "status": "finished",
            "step": plan.stop if outcome.curves else 0,
            "metrics": metrics,
            "evaluator": evaluation.evaluator,
            "encoder_at_step0": outcome.encoder,
            "choice": outcome.choice,
            "files": files,
            "cost": {
                "wall_seconds": wall_seconds,
                "train_seconds": outcome.train_seconds,
                "evaluation_seconds": outcome.evaluation_seconds,
                "steps_executed": outcome.steps,
                "samples_per_second": rate,
                "peak_memory_bytes": surroundings.peak_memory_bytes(),
                "device": surroundings.device_name(),
                "devices": plan.options.devices or 1,
            },
            "updated": now(),
        }
    )


def write_outputs(plan: Plan, outcome: Outcome, evaluation: Evaluation) -> Files:
    """Predictions, scores per sample, curves, recipe and picture, each whole or not at all."""
    folder = plan.folder
    files = {
        "predictions.parquet": predictions.write_rows(outcome.rows, folder / "predictions.parquet"),
        "per_sample.parquet": predictions.write_columns(
            evaluation.per_sample, folder / "per_sample.parquet"
        ),
        "curves.csv": predictions.write_curves(outcome.curves, folder / "curves.csv"),
    }
    if outcome.curves:
        bins = plan.recipe.dynamics.bins
        files["dynamics.parquet"] = predictions.write_columns(
            dynamics.table(outcome.curves, outcome.held_out, outcome.noted, bins),
            folder / "dynamics.parquet",
        )
    if evaluation.resampled is not None:
        drawn = {"sample": list(range(len(evaluation.resampled)))}
        files["resampled.parquet"] = predictions.write_columns(
            drawn | {evaluation.primary: evaluation.resampled}, folder / "resampled.parquet"
        )
    results.write_text(folder / "recipe.yaml", recipes.as_yaml(plan.asked))
    png.write(plan.task.draw(outcome.rows, plan.datasets["test"]), folder / "picture.png")
    return files
