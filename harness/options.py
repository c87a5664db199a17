"""What a user asks for with `harness run`; cells of a study are the same."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

Control = Literal["untrained", "constant", "permuted-labels", "random"]
CONTROLS: tuple[Control, ...] = ("untrained", "constant", "permuted-labels", "random")
Scale = Literal["smoke", "tiny", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "tiny", "paper")
MAX_SEED = 2**32 - 1
"""Seeds are summed with others, and kept where 64 bits have to do."""


@dataclass(frozen=True)
class RunOptions:
    """The options of `harness run`, one field each; None leaves the choice to the recipe.

    Attributes:
        scale: of the recipe; `tiny` where neither it nor `config` is given.
        sets: `key=value` overrides of recipe fields, later ones win.
        config: a recipe file in place of the shipped one.
        output: folder under which runs are kept.
        results: URL of the results table; None is an SQLite file in `output`.
        limit: the first so many samples of each split.
        max_steps: stop training after so many optimiser steps; part of the cell's identity.
        workers: loader processes; None chooses by the machine. Not part of the identity.
        weights_dir: folder of published files that the user already has.
    """

    backbone: str = "simmim"
    task: str = "pose"
    dataset: str | None = None
    data_root: Path | None = None
    scale: Scale | None = None
    protocol: Literal["finetune", "frozen"] | None = None
    control: Control | None = None
    seed: int = 0
    devices: int | None = None
    precision: Literal["32", "bf16", "16"] | None = None
    sets: tuple[str, ...] = ()
    config: Path | None = None
    output: Path = Path("runs")
    results: str | None = None
    logger: Literal["csv", "tensorboard", "wandb"] = "csv"
    limit: int | None = None
    max_steps: int | None = None
    workers: int | None = None
    weights_dir: Path | None = None
    offline: bool = False


def as_command(options: RunOptions) -> str:
    """The command line that asks for exactly this."""
    words = ["harness", "run", "--backbone", options.backbone, "--task", options.task]
    plain = RunOptions()
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in ("backbone", "task") or value == getattr(plain, field.name):
            continue
        flag = "--" + field.name.replace("_", "-")
        if field.name == "sets":
            words += [word for assignment in value for word in ("--set", assignment)]
        elif value is True:
            words.append(flag)
        else:
            words += [flag, str(value)]
    return shlex.join(words)
