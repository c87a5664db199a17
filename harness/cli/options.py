"""Options that several commands have, one type each; the default stands with the command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.options import MAX_SEED

DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data set.")]
Scale = Annotated[
    Literal["smoke", "tiny", "paper"] | None,
    typer.Option(
        help="smoke: seconds; tiny, the default: minutes on two cores; paper: as published."
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of everything that is drawn.")]
Devices = Annotated[int | None, typer.Option(min=1, help="Number of devices.")]
Precision = Annotated[
    Literal["32", "bf16", "16"] | None,
    typer.Option(help="32, bf16 or 16: number format of the training."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a field of the recipe; repeatable."),
]
Config = Annotated[
    Path | None, typer.Option(help="Recipe file, or the name of one that comes with the task.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N samples of each split.")]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="End training after N steps.")]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Loader processes; changes speed, never numbers.")
]
Results = Annotated[
    str | None, typer.Option(metavar="URL", help="Results table; SQLite in the output by default.")
]
Runs = Annotated[Path, typer.Option(help="Folder of the runs.")]
WeightsDir = Annotated[
    Path | None,
    typer.Option(help="Folder of published files that you already have; else HARNESS_WEIGHTS."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never use the network.")]


def apply(weights_dir: Path | None, offline: bool) -> None:
    """Let the two options hold for this process and those that it starts, as their environment
    variables do."""
    if weights_dir is not None:
        os.environ["HARNESS_WEIGHTS"] = str(weights_dir)
    if offline:
        os.environ["HARNESS_OFFLINE"] = "1"
