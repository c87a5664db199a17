"""`harness run`: one cell, from its options to its record."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.options import MAX_SEED, RunOptions

if TYPE_CHECKING:
    from harness.console import Console

Text = str | None


def run(
    backbone: Annotated[str, typer.Option(help="Name of an encoder, or a file.")] = "simmim",
    task: Annotated[str, typer.Option(help="What it is trained for.")] = "pose",
    dataset: Annotated[Text, typer.Option(help="Data set; the recipe's own by default.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder of the data set.")] = None,
    scale: Annotated[
        Literal["smoke", "tiny", "paper"] | None,
        typer.Option(
            help="smoke: seconds; tiny, the default: minutes on two cores; paper: as published."
        ),
    ] = None,
    protocol: Annotated[
        Literal["finetune", "frozen"] | None,
        typer.Option(help="finetune: train all parameters; frozen: leave the encoder."),
    ] = None,
    control: Annotated[
        Literal["untrained", "constant", "permuted-labels", "random"] | None,
        typer.Option(help="untrained, constant, permuted-labels or random: a control run."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of everything that is drawn.")
    ] = 0,
    devices: Annotated[int | None, typer.Option(min=1, help="Number of devices.")] = None,
    precision: Annotated[
        Literal["32", "bf16", "16"] | None,
        typer.Option(help="32, bf16 or 16: number format of the training."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a field of the recipe; repeatable."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Recipe file in place of the shipped one.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    results: Annotated[
        Text, typer.Option(metavar="URL", help="Results table; SQLite in the output by default.")
    ] = None,
    logger: Annotated[
        Literal["csv", "tensorboard", "wandb"],
        typer.Option(help="csv, tensorboard or wandb: where curves are logged."),
    ] = "csv",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N samples of each split.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="End training after N steps.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Loader processes; changes speed, never numbers.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print header and recipe, train nothing.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the record, and nothing else, on stdout.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
) -> None:
    """Train an encoder on a task and keep a record.

    A finished cell is not run again: its record is shown. An interrupted one continues.
    """
    options = RunOptions(
        backbone=backbone,
        task=task,
        dataset=dataset,
        data_root=data_root,
        scale=scale,
        protocol=protocol,
        control=control,
        seed=seed,
        devices=devices,
        precision=precision,
        sets=tuple(sets or ()),
        config=config,
        output=output,
        results=results,
        logger=logger,
        limit=limit,
        max_steps=max_steps,
        workers=workers,
        offline=offline,
    )
    execute(options, dry_run=dry_run, json=json)


def execute(options: RunOptions, *, dry_run: bool, json: bool) -> None:
    """Run or plan the cell; with `json` print one object on stdout and nothing else there."""
    from harness.cli.output import as_json, reserved_stdout
    from harness.console import Console, is_main_process

    if options.offline:
        os.environ["HARNESS_OFFLINE"] = "1"
    if not json:
        _perform(options, Console(results=sys.stdout), dry_run)
        return
    with reserved_stdout() as stdout:
        outcome = _perform(options, Console(), dry_run)
        if is_main_process():
            print(as_json(outcome), file=stdout)


def _perform(options: RunOptions, console: Console, dry_run: bool) -> object:
    from harness.engine import run as engine

    if not dry_run:
        return engine.run(options, console)
    from harness.recipes import as_yaml

    planned = engine.plan(options, console)
    console.show(as_yaml(planned.recipe))
    return planned.recipe
