"""The work of a cell: its model, trained or not as the control says, and its predictions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from harness.console import is_main_process
from harness.engine import features, state
from harness.engine.fit import fit, predict
from harness.engine.optimizer import placements
from harness.engine.plan import encoder
from harness.errors import RunFailed, UserError
from tasks.probe import Fixed

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger
    from torch import Tensor

    from harness.console import Console
    from harness.engine.plan import Plan
    from harness.engine.signals import Signals
    from harness.features.feature_set import FeatureSet
    from tasks.contract import Row, TaskDataset
    from tasks.model import TaskModel
    from tasks.probe import Probe

HEAD_STREAM = 1_000_003
"""Keeps the seed of a head's first values apart from that of an encoder's."""


@dataclass(frozen=True)
class Outcome:
    """What a cell's work gave.

    Attributes:
        rows: predictions on the test split, by sample.
        curves: a row a training step.
        held_out: a row a time at which the loss of held-out samples was taken.
        noted: what in these rows is no term of the loss.
        evaluation_seconds: that prediction took; None where a probe predicted.
        steps: optimiser steps that this process executed.
        train_seconds: time that all steps took, those of interrupted processes included.
        encoder: hashes of the encoder at step 0, of the trainer's and of the file's; None where
            nothing looks at an encoder.
        choice: what a probe's selection split chose; None where nothing was.
    """

    rows: list[Row]
    curves: list[dict[str, float]]
    steps: int
    train_seconds: float
    encoder: dict[str, str | bool] | None
    choice: dict[str, Any] | None = None
    held_out: list[dict[str, float]] = field(default_factory=list)
    noted: tuple[str, ...] = ()
    evaluation_seconds: float | None = None


def execute(
    plan: Plan,
    model: TaskModel,
    attached: list[Logger],
    start: state.State | None,
    signals: Signals,
    console: Console,
) -> Outcome:
    """Train where the control says so, then predict the test split.

    Args:
        plan: the cell.
        model: from `build`.
        attached: from `loggers`.
        start: where training goes on; None at the beginning.
        signals: that may end it.
        console: told what happens.

    Raises:
        RunFailed: a loss that is not finite, or an encoder that is not the file's.
        Interrupted: a signal came; the state is saved.
    """
    test = plan.datasets["test"]
    if plan.options.control == "constant":
        rows, seconds = predict(plan, model, test, signals, console)
        return Outcome(rows, [], 0, 0.0, None, evaluation_seconds=seconds)
    assert model.backbone is not None
    in_file = encoder(plan.options, plan.task, plan.recipe, console).parameters_sha256()
    proof = _proof(plan, model.backbone.parameters_sha256(), in_file)
    if plan.options.control == "untrained" or not model.trained:
        rows, seconds = predict(plan, model, test, signals, console)
        return Outcome(rows, [], 0, 0.0, proof, evaluation_seconds=seconds)
    probe = plan.probe
    if probe is not None:
        return _probed(plan, probe, model, proof, signals, console)
    training = _training_data(plan)
    if features.kept(plan, model) and training.fixed:
        training = features.remembered(plan, model, training, signals, console)
        test = features.remembered(plan, model, test, signals, console)
    elif features.kept(plan, model):
        console.note("features are computed at every visit: the recipe's augmentation moves images")
    if start is None or start["step"] < plan.stop:
        steps = fit(plan, model, training, start, attached, signals, console)
    else:
        steps = 0
    # Evaluation takes the weights that lie in the file, so that a run continued here is no other.
    last = state.read(plan.folder, plan.cell)
    assert last is not None
    average = last["average"]
    model.load_state_dict(last["model"] if average is None else average["values"])
    rows, seconds = predict(plan, model, test, signals, console)
    proof = _proof(plan, last["encoder_sha256"], in_file)
    return Outcome(
        rows,
        last["curves"],
        steps,
        last["seconds"],
        proof,
        held_out=last.get("held_out", []),
        noted=tuple(last.get("noted", ())),
        evaluation_seconds=seconds,
    )


def _probed(
    plan: Plan,
    probe: Probe,
    model: TaskModel,
    proof: dict[str, str | bool],
    signals: Signals,
    console: Console,
) -> Outcome:
    """Fit a probe to the features of a fixed encoder; on the first process, once all are there."""
    data = dict(plan.datasets)
    if plan.options.control == "permuted-labels":
        # Of the selection split too: it chooses, and logistic regression is fitted on it again.
        seed = plan.options.seed
        data |= {split: each.permuted(seed) for split, each in data.items() if split != "test"}
    sets = {
        split: features.compute(plan, model, dataset, signals, console)
        for split, dataset in data.items()
    }
    if not is_main_process():
        return Outcome([], [], 0, 0.0, proof)
    found = {split: Fixed(_loaded(sets[split]), dataset) for split, dataset in data.items()}
    training, selection = found["training"], found["selection"]
    began = time.monotonic()
    total = probe.steps(len(training.dataset), len(selection.dataset))
    with console.phase("fit", total, "steps") as advance:
        fitted = probe.fit(training, selection, plan.options.seed, lambda n: advance(n))
    rows = fitted.predict(found["test"].features)
    features.forget(plan)
    return Outcome(rows, [], 0, time.monotonic() - began, proof, fitted.choice)


def _loaded(kept: FeatureSet) -> dict[str, Tensor]:
    """All features of a split, on the GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return {name: feature.to(device) for name, feature in kept.load().items()}


def build(plan: Plan) -> TaskModel:
    """The cell's network before its first step: the encoder as the file has it, or, for the
    control `random`, drawn from the run's seed; the task's layers drawn from the run's seed. For
    the control `constant` its own network, which has no encoder.

    Raises:
        UserError: permuted labels, and nothing that is trained on them.
    """
    if plan.options.control == "constant":
        return plan.task.constant(plan.datasets["training"])
    model = plan.task.model(plan.backbone, plan.recipe, plan.datasets["training"].info)
    if plan.options.control == "permuted-labels" and not model.trained:
        raise UserError("nothing is trained here, on labels of any order: leave the control out")
    seed = plan.options.seed
    model.initialise(seed + HEAD_STREAM)
    if plan.options.control == "random":
        plan.backbone.initialise(seed)
    # Rates for parameters that there are not are refused here, before a record is begun.
    placements(model, plan.recipe)
    return model


def _training_data(plan: Plan) -> TaskDataset:
    data = plan.datasets["training"]
    return data.permuted(plan.options.seed) if plan.options.control == "permuted-labels" else data


def _proof(plan: Plan, in_trainer: str, in_file: str) -> dict[str, str | bool]:
    """Compare the trainer's encoder at step 0 with one read from the file anew, by their hashes.

    Raises:
        RunFailed: they differ though no control asks for it.
    """
    equal = in_trainer == in_file
    if not equal and plan.options.control != "random":
        raise RunFailed("the trainer's encoder is not the file's", 0)
    return {"sha256": in_trainer, "file_sha256": in_file, "equals_file": equal}
