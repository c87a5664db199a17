"""Training and prediction of one cell, carried by Lightning."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, Strategy

from harness.console import is_main_process
from harness.engine import collective, state
from harness.engine.held_out import HeldOut
from harness.engine.module import Training, Watch
from harness.engine.order import Batches, Feed, Items, Share, Visits
from harness.engine.predicted import Predicted, key
from harness.engine.schedule import Schedule
from harness.engine.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from harness.console import Console
    from harness.engine.plan import Plan
    from harness.engine.signals import Signals
    from harness.options import RunOptions
    from tasks.contract import Row, TaskDataset
    from tasks.model import TaskModel
    from tasks.recipe import TaskRecipe

PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


class Work(Protocol):
    """What carrying a model over data needs to know."""

    @property
    def recipe(self) -> TaskRecipe: ...

    @property
    def options(self) -> RunOptions: ...

    @property
    def folder(self) -> Path: ...


def workers(plan: Work) -> int:
    """Loader processes: as asked, else one core is left to the training itself."""
    asked = plan.options.workers
    return asked if asked is not None else min(8, max(1, (os.cpu_count() or 1) - 1))


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's advice on things that the engine decides."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric")]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in (
            r".*does not have many workers.*",
            r".*find_unused_parameters=True was specified.*",
            r"Found \d+ module\(s\) in eval mode.*",
            r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
        ):
            warnings.filterwarnings("ignore", message=message)
        try:
            yield
        finally:
            for log, level in zip(loggers, levels, strict=True):
                log.setLevel(level)


def trainer(plan: Work, loggers: list[Logger], steps: int) -> Trainer:
    """A Lightning trainer for `steps` steps, with nothing in it that the engine does itself."""
    devices = plan.options.devices or 1
    strategy: str | Strategy = "auto"
    if devices > 1:
        strategy = DDPStrategy(find_unused_parameters=True)
    return Trainer(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=devices,
        strategy=strategy,
        precision=PRECISION[plan.recipe.train.precision],  # type: ignore[arg-type]
        max_epochs=1,
        max_steps=steps,
        gradient_clip_val=plan.recipe.optimizer.clip_norm,
        logger=loggers or False,
        log_every_n_steps=1,
        default_root_dir=plan.folder,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )


def fit(
    plan: Plan,
    model: TaskModel,
    dataset: TaskDataset,
    start: State | None,
    loggers: list[Logger],
    signals: Signals,
    console: Console,
) -> int:
    """Train `model` from `start` to the plan's last step; the last state lies in the folder.

    Returns:
        The number of steps that this process executed.

    Raises:
        RunFailed: a loss that is not finite.
        Interrupted: a signal came; the state is saved.
    """
    first = 0 if start is None else int(start["step"])

    began, before = time.monotonic(), 0.0 if start is None else float(start["seconds"])

    def on_save(saved: State) -> None:
        seconds = before + time.monotonic() - began
        state.write(plan.folder, {"cell": plan.cell, "seconds": seconds, **saved})

    with quiet_lightning(), console.phase("train", plan.stop, "steps", done=first) as advance:
        carrier = trainer(plan, loggers, plan.stop - first)
        module = Training(
            model,
            plan.recipe,
            Schedule(
                plan.recipe.schedule,
                plan.recipe.optimizer.lr,
                plan.total_steps,
                plan.steps_per_epoch,
            ),
            plan.stop,
            plan.options.seed,
            signals,
            Watch(lambda: None, lambda _, figures: advance(1, **figures), lambda _: None, on_save),
            start,
            HeldOut(plan.datasets["selection"], plan.recipe, plan.stop),
        )
        if carrier.world_size > 1:
            collective.with_global_statistics(model)
        batches = Batches(
            plan.options.seed,
            len(dataset),
            plan.recipe.train.batch_size,
            first,
            plan.stop,
            carrier.global_rank,
            carrier.world_size,
            plan.recipe.train.drop_last,
        )
        visits = Visits(dataset, plan.options.seed)
        carrier.fit(module, Feed(visits, batches, workers(plan), _pin()))
        carrier.strategy.barrier()
    return module.step - first


class Predictions(NamedTuple):
    """What `predict` gives.

    Attributes:
        rows: by sample.
        seconds: that all samples take; of a continued evaluation after those predicted in its end.
    """

    rows: list[Row]
    seconds: float


def predict(
    plan: Work, model: TaskModel, dataset: TaskDataset, signals: Signals, console: Console
) -> Predictions:
    """Predictions for each sample of `dataset` once, by sample; empty on all processes but 0.

    What is finished is kept in the plan's folder while this lasts (`harness.engine.predicted`), and
    not predicted again after an interruption; batches are the same ones then.
    """
    began = time.monotonic()
    with quiet_lightning(), console.phase("evaluate", len(dataset), "samples") as advance:
        carrier = trainer(plan, [], 1)
        kept = Predicted(plan.folder, key(model), carrier.global_rank)
        before = kept.before(console)
        done = {row["sample"] for row in before}
        if done:
            advance(len(done))

        def on_predicted(rows: list[Row]) -> None:
            advance(len(rows) * carrier.world_size)
            kept.add(rows)

        watch = Watch(lambda: None, lambda *_: None, on_predicted, lambda _: None)
        schedule = Schedule(plan.recipe.schedule, plan.recipe.optimizer.lr, 1, 1)
        module = Training(model, plan.recipe, schedule, 0, plan.options.seed, signals, watch)
        share = Share(
            len(dataset),
            plan.recipe.evaluation_batch,
            carrier.global_rank,
            carrier.world_size,
            done,
        )
        feed = Feed(Items(dataset), share, workers(plan), _pin())
        try:
            carrier.predict(module, feed, return_predictions=False)
        except BaseException:
            kept.write()
            raise
    if not is_main_process():
        return Predictions([], 0.0)
    new = {row["sample"] for row in module.rows}
    rows = [*module.rows, *(row for row in before if row["sample"] not in new)]
    whole = (time.monotonic() - began) * len(dataset) / max(1, len(new))
    return Predictions(sorted(rows, key=lambda row: row["sample"]), whole)


def _pin() -> bool:
    return torch.cuda.is_available()
