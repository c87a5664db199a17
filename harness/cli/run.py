"""`harness run`: one cell, from its options to its record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.options import (
    Config,
    DataRoot,
    Devices,
    Limit,
    MaxSteps,
    Offline,
    Precision,
    Results,
    Runs,
    Scale,
    Seed,
    Sets,
    WeightsDir,
    Workers,
    apply,
)
from harness.options import RunOptions

if TYPE_CHECKING:
    from harness.console import Console


def run(
    backbone: Annotated[str, typer.Option(help="Name of an encoder, or a file.")] = "simmim",
    task: Annotated[str, typer.Option(help="What it is trained for.")] = "pose",
    dataset: Annotated[
        str | None, typer.Option(help="Data set; the recipe's own by default.")
    ] = None,
    data_root: DataRoot = None,
    scale: Scale = None,
    protocol: Annotated[
        Literal["finetune", "frozen"] | None,
        typer.Option(help="finetune: train all parameters; frozen: leave the encoder."),
    ] = None,
    control: Annotated[
        Literal["untrained", "constant", "permuted-labels", "random"] | None,
        typer.Option(help="untrained, constant, permuted-labels or random: a control run."),
    ] = None,
    seed: Seed = 0,
    devices: Devices = None,
    precision: Precision = None,
    sets: Sets = None,
    config: Config = None,
    output: Runs = Path("runs"),
    results: Results = None,
    logger: Annotated[
        Literal["csv", "tensorboard", "wandb"],
        typer.Option(help="csv, tensorboard or wandb: where curves are logged."),
    ] = "csv",
    limit: Limit = None,
    max_steps: MaxSteps = None,
    workers: Workers = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print header and recipe, train nothing.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the record, and nothing else, on stdout.")
    ] = False,
    weights_dir: WeightsDir = None,
    offline: Offline = False,
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
        weights_dir=weights_dir,
        offline=offline,
    )
    execute(options, dry_run=dry_run, json=json)


def execute(options: RunOptions, *, dry_run: bool, json: bool) -> None:
    """Run or plan the cell; with `json` print one object on stdout and nothing else there."""
    from harness.cli.output import as_json, reserved_stdout
    from harness.console import Console, is_main_process

    apply(options.weights_dir, options.offline)
    if options.dataset is not None:
        from harness.cli.group import run_group
        from harness.groups import members

        if cells := members(options):
            run_group(options, cells, dry_run=dry_run, json=json)
            return
    if not json:
        perform(options, Console(results=sys.stdout), dry_run)
        return
    with reserved_stdout() as stdout:
        outcome = perform(options, Console(), dry_run)
        if is_main_process():
            print(as_json(outcome), file=stdout)


def perform(options: RunOptions, console: Console, dry_run: bool) -> object:
    """Run the cell and return its record, or plan it and return the recipe."""
    from harness.engine import run as engine

    if not dry_run:
        return engine.run(options, console)
    from harness.recipes import as_yaml

    planned = engine.plan(options, console)
    console.show(as_yaml(planned.asked))
    return planned.asked
