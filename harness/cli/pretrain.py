"""`harness pretrain`: a new encoder; `verify`: what it has learned."""

from __future__ import annotations

import shlex
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
    from harness.verification import Verdict
    from tasks.pretraining.evidence import Evidence

app = typer.Typer()


@app.callback(invoke_without_command=True)
def pretrain(
    context: typer.Context,
    scale: Scale = None,
    objective: Annotated[
        Literal["simmim", "mae", "supervised", "contrastive"],
        typer.Option(help="What the encoder learns: to fill in, classes, or to know images again."),
    ] = "simmim",
    dataset: Annotated[
        str | None, typer.Option(help="`microworld` or `images`; the recipe's own by default.")
    ] = None,
    data_root: DataRoot = None,
    sets: Sets = None,
    config: Config = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the encoder; `pretrained_` and scale or recipe by default."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Where the encoder's folder is made.")] = Path(
        "pretrained"
    ),
    runs: Runs = Path("runs"),
    seed: Seed = 0,
    devices: Devices = None,
    precision: Precision = None,
    limit: Limit = None,
    max_steps: MaxSteps = None,
    workers: Workers = None,
    weights_dir: WeightsDir = None,
    offline: Offline = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the provenance, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Pre-train an encoder and export it with its decoder or classifier.

    An interrupted training continues. The encoder's folder holds the file, recipe, loss curve and
    provenance; `harness pretrain verify FOLDER` adds the evidence.
    """
    if context.invoked_subcommand is not None:
        return
    from harness.pretraining import OBJECTIVES

    options = RunOptions(
        backbone="new",
        task=OBJECTIVES[objective],
        dataset=dataset,
        data_root=data_root,
        scale=scale,
        seed=seed,
        devices=devices,
        precision=precision,
        sets=tuple(sets or ()),
        config=config or _recipe(objective, OBJECTIVES[objective], scale or "tiny"),
        output=runs,
        limit=limit,
        max_steps=max_steps,
        workers=workers,
        weights_dir=weights_dir,
        offline=offline,
    )
    apply(weights_dir, offline)
    name = name or f"pretrained_{config.stem if config else scale or 'tiny'}"
    _train(options, as_command(options, objective, config, name, output), name, output, json)


@app.command("verify")
def verify(
    encoder: Annotated[str, typer.Argument(help="Name of a shipped encoder, its folder or file.")],
    scenes: Annotated[
        int, typer.Option(min=2, help="Unseen images; the gates need at least 512.")
    ] = 512,
    config: Annotated[
        Path | None, typer.Option(help="The encoder's recipe, where none lies beside it.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write evidence.json anew instead of comparing.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the evidence, and nothing else, on stdout.")
    ] = False,
) -> int:
    """Recompute an encoder's evidence on unseen images; exit code 1 where it does not hold."""
    from harness.cli.output import as_json, reserved_stdout
    from harness.console import Console
    from harness.verification import verify as recompute

    if json:
        with reserved_stdout() as stdout:
            verdict = recompute(encoder, scenes, config, update, Console())
            said = verdict.evidence.as_dict() | {"differences": verdict.differences}
            print(as_json(said), file=stdout)
    else:
        verdict = recompute(encoder, scenes, config, update, Console())
        print("\n".join(table(verdict.evidence) + _comparison(verdict)))
    return 0 if verdict.holds else 1


def table(evidence: Evidence) -> list[str]:
    """The figures and gates as lines of text."""
    gates = [
        f"{'PASS' if gate.passed else 'FAIL'}  {gate.name}: {gate.value:.4g} "
        f"{'>=' if gate.reach else '<'} {gate.bound:g}"
        for gate in evidence.gates
    ]
    return evidence.lines() + gates


def _comparison(verdict: Verdict) -> list[str]:
    if verdict.written:
        return [f"written: {verdict.path}"]
    if not verdict.differences:
        return [f"PASS  equal to {verdict.path}"]
    return [f"FAIL  not as in {verdict.path}: {line}" for line in verdict.differences]


def _recipe(objective: str, task: str, scale: str) -> Path | None:
    """The shipped recipe where it is not the scale's own.

    Raises:
        UserError: there is none at this scale.
    """
    if objective != "mae":
        return None
    from harness.errors import UserError
    from harness.recipes import recipe_files

    files = recipe_files(task)
    if f"{scale}-{objective}" not in files:
        raise UserError(
            f"there is no recipe for `{objective}` at scale `{scale}`, only "
            f"{', '.join(name for name in files if name.endswith(objective))}: "
            "write one and give it with --config"
        )
    return files[f"{scale}-{objective}"]


def _train(options: RunOptions, command: str, name: str, output: Path, json: bool) -> None:
    from harness.cli.output import reserved_stdout
    from harness.console import Console, is_main_process
    from harness.pretraining import PROVENANCE
    from harness.pretraining import pretrain as train

    if not json:
        train(options, name, output, command, Console(results=sys.stdout))
        return
    with reserved_stdout() as stdout:
        folder = train(options, name, output, command, Console())
        if is_main_process():
            print((folder / PROVENANCE).read_text(encoding="utf-8"), end="", file=stdout)


def as_command(
    options: RunOptions, objective: str, config: Path | None, name: str, output: Path
) -> str:
    """The command line that makes exactly this encoder in this place; config: as it was given."""
    plain = RunOptions()
    words = ["harness", "pretrain"]
    if objective != "simmim":
        words += ["--objective", objective]
    for field in (
        *("scale", "dataset", "data_root", "config"),
        *("devices", "precision", "limit", "max_steps", "weights_dir"),
    ):
        value = config if field == "config" else getattr(options, field)
        if value is not None:
            words += [f"--{field.replace('_', '-')}", str(value)]
    words += [word for assignment in options.sets for word in ("--set", assignment)]
    words += ["--seed", str(options.seed), "--name", name, "--output", str(output)]
    if options.output != plain.output:
        words += ["--runs", str(options.output)]
    if options.offline:
        words.append("--offline")
    return shlex.join(words)
