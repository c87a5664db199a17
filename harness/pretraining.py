"""From a pre-training run to an encoder file with its evidence, and back: does it still hold?"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness import plugins, recipes
from harness.console import totals
from harness.errors import UserError

if TYPE_CHECKING:
    from backbones import Backbone
    from harness.console import Console
    from harness.options import RunOptions
    from results import Record
    from tasks.pretraining.contract import EncoderTask
    from tasks.pretraining.evidence import Evidence

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
EVIDENCE = "evidence.json"

TOLERANCE = 2e-3
"""Relative: another processor's kernels move the figures by less than 1e-4, and a world rendered by
other library versions may differ by single grey levels; a worse encoder differs by far more."""


@dataclass(frozen=True)
class Verdict:
    """What verifying an encoder found.

    Attributes:
        evidence: as recomputed.
        path: of `evidence.json`.
        written: whether it was written just now.
        differences: from the evidence that lies beside the file, one line each.
    """

    evidence: Evidence
    path: Path
    written: bool
    differences: list[str]

    @property
    def holds(self) -> bool:
        """Whether all gates are passed and the recorded evidence is confirmed."""
        return self.evidence.passed and not self.differences


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


def verify(
    name_or_path: str, scenes: int, config: Path | None, update: bool, console: Console
) -> Verdict:
    """Recompute the evidence of an encoder from its file and the images of the test split, which
    no choice of the recipe has looked at.

    Args:
        name_or_path: of the encoder; `recipe.yaml` lies beside its file.
        scenes: number of unseen images, where the data set is the embedded world.
        config: the recipe, where none lies beside the file.
        update: whether `evidence.json` is written anew; it is where there is none.
        console: told what happens.

    Raises:
        UserError, RecipeError, DataError, LoadError: what the user can mend.
    """
    path = _file(name_or_path)
    recipe = _recipe_of(path, scenes, config)
    task = _task(recipe.task)
    backbone = _load(path, recipe, task)
    with console.phase("prepare", None, "images") as advance:
        task.prepare(recipe, totals(advance))
    seen, unseen = (task.dataset(recipe, split).info for split in ("training", "test"))
    with console.phase("verify", unseen.count, "images") as advance:
        evidence = task.evidence(backbone, recipe, _seed(path), advance)
    found = evidence.as_dict() | {
        "sha256": backbone.spec.sha256,
        "split": unseen.split,
        "data": unseen.sha256,
        "trained_on": seen.sha256,
    }
    beside = path.with_name(EVIDENCE)
    if update or not beside.exists():
        _write(beside, json.dumps(found, indent=2) + "\n")
        return Verdict(evidence, beside, True, [])
    return Verdict(evidence, beside, False, differences(_read_json(beside), found))


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What in `found` is not as recorded: figures beyond `TOLERANCE`, and the file's hash."""
    lines = []
    if recorded.get("sha256") != found["sha256"]:
        lines.append(f"the file's sha256 is {found['sha256']}, recorded {recorded.get('sha256')}")
    old, new = _figures(recorded), _figures(found)
    if not old:
        raise UserError("`evidence.json` is not of this version: write it with --update")
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            lines.append(f"{name}: recorded {old.get(name)}, found {new.get(name)}")
        elif abs(new[name] - old[name]) > TOLERANCE * abs(old[name]):
            lines.append(f"{name}: recorded {old[name]:.6g}, found {new[name]:.6g}")
    return lines


def _export(record: Record, options: RunOptions, name: str, folder: Path, command: str) -> None:
    """Write encoder and decoder, recipe, loss curve and provenance into `folder`."""
    import backbones

    task = _task(record.task)
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
    _write(folder / PROVENANCE, json.dumps(provenance, indent=2, default=str) + "\n")
    _write(folder / RECIPE, recipes.as_yaml(recipe))
    shutil.copyfile(source / "curves.csv", folder / f"{CURVE}.part")
    (folder / f"{CURVE}.part").replace(folder / CURVE)
    backbones.save(backbone, folder / ENCODER, metadata)


def _before(recipe: Any, record: Record) -> dict[str, Any] | None:
    """What training went on from: the file's hash, and the provenance that lies beside it."""
    start = recipe.encoder.start
    if start is None:
        return None
    beside = start.with_name(PROVENANCE)
    provenance = _read_json(beside) if beside.exists() else None
    return {"sha256": record.backbone["sha256"], "provenance": provenance}


def _images_seen(before: dict[str, Any] | None) -> int:
    """By what training went on from, as far as the provenances tell."""
    if before is None or before["provenance"] is None:
        return 0
    provenance = before["provenance"]
    return int(provenance["images_seen"]) + _images_seen(provenance.get("start"))


def _task(name: str) -> EncoderTask:
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
    return path.exists() and _read_json(path).get("command") == command


def _file(name_or_path: str) -> Path:
    """The file of an encoder that is shipped or lies somewhere."""
    import backbones

    entry = backbones.catalogue().get(name_or_path)
    if entry is not None and not entry.shipped:
        raise UserError(f"`{name_or_path}` was not pre-trained here: there is nothing to verify")
    path = entry.shipped_path if entry is not None else Path(name_or_path)
    if path.is_dir():
        path = path / ENCODER
    if not path.is_file():
        shipped = ", ".join(n for n, e in backbones.catalogue().items() if e.shipped)
        raise UserError(f"there is no encoder `{name_or_path}`: give a file, or one of {shipped}")
    return path


def _recipe_of(path: Path, scenes: int, config: Path | None) -> Any:
    from harness.options import RunOptions

    source = config or path.with_name(RECIPE)
    if not source.is_file():
        raise UserError(f"`{source}` is missing: give the encoder's recipe with --config")
    task = recipes.task_of(source)
    if task not in OBJECTIVES.values():
        raise UserError(
            f"`{source}` is for the task `{task}`: give the encoder's own with --config"
        )
    options = RunOptions(task=task, config=source, sets=(f"data.test={scenes}",))
    return recipes.resolve(options)


def _seed(path: Path) -> int | None:
    """The seed that the encoder of a file was trained from, where its provenance lies beside it."""
    beside = path.with_name(PROVENANCE)
    return int(_read_json(beside)["seed"]) if beside.is_file() else None


def _load(path: Path, recipe: Any, task: EncoderTask) -> Backbone:
    import backbones

    arch = {"num_heads": recipe.encoder.num_heads}
    if recipe.encoder.decoder_num_heads is not None:
        arch["decoder_num_heads"] = recipe.encoder.decoder_num_heads
    return backbones.load(
        str(path), input_size=recipe.backbone.input_size, arch=arch, keep=task.keep
    )


def _figures(evidence: dict[str, Any]) -> dict[str, float]:
    """Every figure of the evidence by its path; standard errors, and gates, which repeat figures,
    are none."""
    flat: dict[str, float] = {}
    for name, value in evidence.items():
        if isinstance(value, dict):
            flat |= {f"{name} {key}": each for key, each in _figures(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "error":
            flat[name] = float(value)
    return flat


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read `{path}`: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"`{path}` must hold an object")
    return values


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
