"""One cell, settled: what will be trained on what, and where its outputs go."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import plugins, recipes
from harness.console import totals
from harness.errors import UserError
from harness.fetching import download_shown
from tasks.contract import SPLITS, DataError, Split

if TYPE_CHECKING:
    from backbones import Backbone
    from harness.console import Console
    from harness.options import RunOptions
    from tasks.contract import Task, TaskDataset
    from tasks.probe import Probe
    from tasks.recipe import TaskRecipe


@dataclass(frozen=True)
class Plan:
    """A cell and everything that it needs.

    Attributes:
        asked: the recipe before anything followed from the encoder, which others are run with too.
        recipe: the one in force.
        derived: what followed, a line each.
        identity: what determines the number, JSON-able.
        cell: hash of it, 64 hexadecimal digits.
        folder: where record, predictions and state lie.
        total_steps: length of the schedule.
        stop: step after which training ends.
    """

    options: RunOptions
    task: Task
    asked: TaskRecipe
    recipe: TaskRecipe
    derived: tuple[str, ...]
    backbone: Backbone
    datasets: dict[Split, TaskDataset]
    identity: dict[str, Any]
    cell: str
    folder: Path
    total_steps: int
    stop: int

    @property
    def probe(self) -> Probe | None:
        """What is fitted to the encoder's features, where the cell trains by no steps."""
        if self.recipe.protocol != "frozen" or self.options.control in ("untrained", "constant"):
            return None
        return self.task.probe(self.recipe, self.datasets["training"].info)

    @property
    def steps_per_epoch(self) -> float:
        """Steps in one pass over the training split."""
        return _steps_per_epoch(self.recipe, len(self.datasets["training"]))


def normalised(options: RunOptions) -> RunOptions:
    """`--backbone random` is `--backbone simmim --control random`: one and the same cell.

    Raises:
        UserError: where another control is asked for at the same time.
    """
    if options.backbone != "random":
        return options
    if options.control not in (None, "random"):
        raise UserError(
            f"`--backbone random` cannot go with `--control {options.control}`: "
            "a cell has one control; name an encoder instead"
        )
    return replace(options, backbone="simmim", control="random")


def make(options: RunOptions, console: Console) -> Plan:
    """Settle the cell: recipe, encoder, data, identity.

    Raises:
        RecipeError, DataError, LoadError, UnknownNameError, UserError: what the user can mend.
    """
    options = normalised(options)
    task = plugins.task(options.task)
    asked = recipes.resolve(options)
    _require_devices(options, task, asked)
    backbone = encoder(options, task, asked, console)
    recipes.require_family(asked, backbone.spec.family, options)
    recipe, derived = task.fitted(asked, backbone)
    if recipe.backbone != asked.backbone:
        backbone = encoder(options, task, recipe, console)
    datasets = _datasets(task, recipe, console)
    _require_samples(options, datasets)
    _require_batch(recipe, len(datasets["training"]))
    total = _total_steps(recipe, len(datasets["training"]))
    if recipe.train.max_steps is not None and recipe.train.max_steps >= total:
        # A limit that is not reached makes no other cell.
        train = {"train": recipe.train.model_copy(update={"max_steps": None})}
        asked, recipe = asked.model_copy(update=train), recipe.model_copy(update=train)
    identity = {
        "task": task.name,
        "task_version": task.version,
        "backbone": _identity(backbone),
        "told": recipe.backbone.told(),
        "data": {split: data.info.sha256 for split, data in datasets.items()},
        "recipe": recipes.determining(asked),
        "seed": options.seed,
        "control": options.control,
    }
    cell = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^\w.-]+", "_", backbone.spec.name)
    return Plan(
        options=options,
        task=task,
        asked=asked,
        recipe=recipe,
        derived=derived,
        backbone=backbone,
        datasets=datasets,
        identity=identity,
        cell=cell,
        folder=_folder(options.output / task.name, name, cell),
        total_steps=total,
        stop=min(total, recipe.train.max_steps or total),
    )


def encoder(options: RunOptions, task: Task, recipe: TaskRecipe, console: Console) -> Backbone:
    """The encoder as its file has it, or, where the task makes one, new from the seed."""
    made = task.encoder(recipe, options.seed)
    if made is not None:
        return made
    import backbones

    name = backbones.resolve(options.backbone, recipe.scale)
    with download_shown(name, console) as progress:
        return backbones.load(
            name,
            input_size=recipe.backbone.input_size,
            drop_path=recipe.backbone.drop_path,
            drop_last=recipe.backbone.drop_last,
            drop_mode=recipe.backbone.drop_mode,
            seed=options.seed,
            arch=recipe.backbone.arch(),
            progress=progress,
        )


def _identity(backbone: Backbone) -> str | dict[str, str | None] | None:
    """What tells an encoder from others: its file. Of another package's, whose code may change and
    which may come from no file, the package with its version, and the parameters too."""
    spec = backbone.spec
    if spec.package is None:
        return spec.sha256
    return {
        "name": spec.name,
        "package": spec.package,
        "sha256": spec.sha256,
        "parameters": backbone.loaded_sha256,
    }


def _folder(runs: Path, name: str, cell: str) -> Path:
    """Where the cell lies, which the same file may have begun under another name."""
    found = sorted(runs.glob(f"*/{cell[:12]}"))
    return found[0] if found else runs / name / cell[:12]


def _require_devices(options: RunOptions, task: Task, recipe: TaskRecipe) -> None:
    """Refuse what this machine cannot do, or would do otherwise than asked."""
    import torch

    devices, there = options.devices or 1, torch.cuda.device_count()
    if there and devices > there:
        raise UserError(f"--devices {devices}, but there are {there} GPUs: ask for at most {there}")
    if devices > 1 and task.one_process:
        raise UserError(f"`{task.name}` runs in one process: leave --devices {devices} out")
    if devices > recipe.train.batch_size:
        raise UserError(
            f"--devices {devices} cannot share batches of {recipe.train.batch_size}: ask for fewer "
            "devices, or a larger `train.batch_size`"
        )
    if recipe.train.precision == "16" and not there:
        raise UserError("precision 16 needs a GPU: use --precision bf16 or 32")


def _require_samples(options: RunOptions, datasets: dict[Split, TaskDataset]) -> None:
    for split, data in datasets.items():
        if len(data) < (options.devices or 1):
            raise UserError(
                f"--devices {options.devices}, but the {split} split has {len(data)} samples: "
                "ask for fewer devices, or more samples"
            )


def _require_batch(recipe: TaskRecipe, count: int) -> None:
    if recipe.train.drop_last and count < recipe.train.batch_size:
        raise UserError(
            f"`train.drop_last` leaves no batch: the training split has {count} samples, a batch "
            f"{recipe.train.batch_size}; ask for a smaller `train.batch_size`, or leave it out"
        )


def _datasets(task: Task, recipe: TaskRecipe, console: Console) -> dict[Split, TaskDataset]:
    if "LOCAL_RANK" not in os.environ:
        with console.phase(f"prepare {recipe.data.name}", None, "samples") as advance:
            task.prepare(recipe, totals(advance))
    datasets = {split: task.dataset(recipe, split) for split in SPLITS}
    share = recipe.data.fraction
    if share < 1:
        whole = datasets["training"]
        datasets["training"] = whole.fraction(share, recipe.data.fraction_seed)
    for split, data in datasets.items():
        if len(data) == 0:
            raise DataError(f"the {split} split of `{recipe.data.name}` has no samples")
    if not task.has_truth(datasets["test"]):
        raise DataError(
            f"the test split of `{recipe.data.name}` has no truth, which a record needs: train on "
            "data that have, then predict on it with `harness evaluate --checkpoint RUN`"
        )
    return datasets


def _total_steps(recipe: TaskRecipe, count: int) -> int:
    if recipe.train.steps is not None:
        return recipe.train.steps
    assert recipe.train.epochs is not None
    return max(1, round(recipe.train.epochs * _steps_per_epoch(recipe, count)))


def _steps_per_epoch(recipe: TaskRecipe, count: int) -> float:
    size = recipe.train.batch_size
    return count // size if recipe.train.drop_last else count / size
