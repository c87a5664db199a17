"""From a pre-training run to an encoder file and where it comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import results
from harness import plugins, recipes
from harness.errors import UserError

if TYPE_CHECKING:
    from backbones import Backbone
    from harness.console import Console
    from harness.options import RunOptions
    from results import Record
    from tasks.pretraining.contract import EncoderTask

OBJECTIVES = {
    "simmim": "pretraining",
    "mae": "pretraining",
    "supervised": "supervised_pretraining",
    "contrastive": "contrastive_pretraining",
}
"""Which task trains an encoder for an objective."""

ENCODER = "encoder.safetensors"
RECIPE = "recipe.yaml"
CURVE = "loss.csv"
PROVENANCE = "provenance.json"


def pretrain(options: RunOptions, name: str, output: Path, command: str, console: Console) -> Path:
    """Train an encoder, or continue, and export it; return its folder.

    Args:
        options: of the run, whose task is one of `OBJECTIVES`.
        name: of the encoder.
        output: where its folder is made: `output/name/`.
        command: what the user asked for, to be kept.
        console: told what happens.

    Raises:
        UserError: another encoder of that name is there, or its folder cannot be made.
    """
    from harness.engine.run import run

    folder = output / name
    if (folder / ENCODER).exists() and not _same_command(folder, command):
        raise UserError(
            f"`{folder}` holds another encoder: remove it, or choose another --name or --output"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write to `{folder}` ({error.strerror}): choose another folder with --output"
        ) from None
    record = run(options, console, command)
    _export(record, options, name, folder, command)
    console.note(f"encoder: {folder / ENCODER}")
    console.note(f"verify it with: harness pretrain verify {folder / ENCODER}")
    return folder


def _export(record: Record, options: RunOptions, name: str, folder: Path, command: str) -> None:
    """Write encoder and decoder, recipe, loss curve and provenance into `folder`."""
    import backbones

    task = encoder_task(record.task)
    recipe: Any = recipes.load_resolved(record.task, record.recipe)
    source = _run_folder(options, record)
    backbone = _trained(task, recipe, options.seed, source, record.cell)
    before = _before(recipe, record)
    seen = record.step * recipe.train.batch_size
    provenance = {
        "name": name,
        "command": command,
        "cell": record.cell,
        "seed": options.seed,
        "steps": record.step,
        "images_seen": seen,
        "start": before,
        "data": record.data,
        "versions": record.versions,
        "git_commit": record.git_commit,
        "cost": record.cost,
        "created": record.updated,
    }
    world = recipe.data.name == "microworld"
    metadata = {
        "name": name,
        "objective": task.objective(recipe),
        "licence": "as this package" if world else "that of the images",
        "data": f"{recipe.data.name}, {record.data['training']['count']} images, "
        f"{seen + _images_seen(before)} seen",
        "evidence": None,
        "cell": record.cell,
    }
    results.write_text(folder / PROVENANCE, json.dumps(provenance, indent=2, default=str) + "\n")
    results.write_text(folder / RECIPE, recipes.as_yaml(recipe))
    shutil.copyfile(source / "curves.csv", folder / f"{CURVE}.part")
    (folder / f"{CURVE}.part").replace(folder / CURVE)
    backbones.save(backbone, folder / ENCODER, metadata)


def _before(recipe: Any, record: Record) -> dict[str, Any] | None:
    """What training went on from: the file's hash, and the provenance that lies beside it."""
    start = recipe.encoder.start
    if start is None:
        return None
    beside = start.with_name(PROVENANCE)
    provenance = read_json(beside) if beside.exists() else None
    return {"sha256": record.backbone["sha256"], "provenance": provenance}


def _images_seen(before: dict[str, Any] | None) -> int:
    """By what training went on from, as far as the provenances tell."""
    if before is None or before["provenance"] is None:
        return 0
    provenance = before["provenance"]
    return int(provenance["images_seen"]) + _images_seen(provenance.get("start"))


def encoder_task(name: str) -> EncoderTask:
    """The task of that name, which makes an encoder."""
    return cast("EncoderTask", plugins.task(name))


def _trained(task: EncoderTask, recipe: Any, seed: int, source: Path, cell: str) -> Backbone:
    """The encoder as the run's last state has it."""
    from harness.engine import state

    last = state.read(source, cell)
    if last is None:
        raise UserError(f"the state of the finished run is gone from `{source}`: remove the folder")
    backbone = task.encoder(recipe, seed)
    average = last["average"]
    values = last["model"] if average is None else average["values"]
    prefix = "backbone."
    backbone.load_state_dict(
        {key.removeprefix(prefix): v for key, v in values.items() if key.startswith(prefix)}
    )
    return backbone


def _run_folder(options: RunOptions, record: Record) -> Path:
    found = sorted((options.output / record.task).glob(f"*/{record.cell[:12]}"))
    if len(found) != 1:
        raise UserError(f"the folder of cell {record.cell[:12]} is not below `{options.output}`")
    return found[0]


def _same_command(folder: Path, command: str) -> bool:
    path = folder / PROVENANCE
    return path.exists() and read_json(path).get("command") == command


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        UserError: it cannot be read, or holds none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read `{path}`: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"`{path}` must hold an object")
    return values
