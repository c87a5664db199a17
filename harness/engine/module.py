"""The one LightningModule that trains every task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from harness.engine import collective, losses, optimizer
from harness.engine.ema import Average
from harness.engine.order import batch_key
from harness.engine.signals import HANDLED
from harness.engine.state import State
from harness.errors import Interrupted, RunFailed
from tasks.contract import Note

if TYPE_CHECKING:
    from harness.engine.held_out import HeldOut
    from harness.engine.schedule import Schedule
    from harness.engine.signals import Signals
    from tasks.contract import Row
    from tasks.model import TaskModel
    from tasks.recipe import TaskRecipe


@dataclass(frozen=True)
class Watch:
    """What the outside wants to know of training, as functions it is told by.

    Attributes:
        begun: called once before the first step of this process.
        stepped: called after each step with the number of samples and the figures of the last
            reading.
        predicted: called after each batch of evaluation with its rows.
        save: called by process 0 with the state to be written.
    """

    begun: Callable[[], None]
    stepped: Callable[[int, dict[str, float]], None]
    predicted: Callable[[list[Row]], None]
    save: Callable[[State], None]


class Training(LightningModule):
    """Steps, learning rates, states for continuing, and predictions of a task's model.

    `step` counts optimiser steps of the whole run; Lightning's own counter starts anew in each
    process that continues it.
    """

    def __init__(
        self,
        model: TaskModel,
        recipe: TaskRecipe,
        schedule: Schedule,
        stop: int,
        seed: int,
        signals: Signals,
        watch: Watch,
        state: State | None = None,
        held_out: HeldOut | None = None,
    ) -> None:
        super().__init__()
        self.model, self.recipe, self.schedule = model, recipe, schedule
        self.stop, self.seed, self.signals, self.watch = stop, seed, signals, watch
        self.step: int = 0 if state is None else state["step"]
        self.curves: list[dict[str, float]] = [] if state is None else state["curves"]
        self.held_out_curves: list[dict[str, float]] = (
            [] if state is None else state.get("held_out", [])
        )
        self._held_out = held_out
        self.encoder_sha256: str | None = None if state is None else state["encoder_sha256"]
        self.rows: list[Row] = []
        # A run that is cut short is a trial, which is interrupted more often than it ends.
        short = recipe.train.max_steps is not None
        self.state_every = min(recipe.train.state_every, 10 if short else recipe.train.state_every)
        self._resume = state
        self._read_every = 1
        self._pending: list[tuple[int, Tensor]] = []
        self._terms: list[str] = []
        self._noted: list[str] = [] if state is None else state.get("noted", [])
        self._average: Average | None = None
        if state is not None:
            model.load_state_dict(state["model"])
        if recipe.protocol == "frozen" and model.backbone is not None:
            model.backbone.requires_grad_(False)

    def configure_optimizers(self) -> Optimizer:
        return optimizer.build(self.model, self.recipe)

    def on_train_start(self) -> None:
        self.signals.take()
        self.signals.deferred = True
        # Reading a figure waits for a GPU, so there it is done now and then.
        self._read_every = 1 if self.device.type == "cpu" else 25
        if self.recipe.train.ema is not None:
            self._average = Average(self.model, self.recipe.train.ema)
        if self._resume is not None:
            self._restore(self._resume)
            self._resume = None
        elif self.model.backbone is not None:
            self.encoder_sha256 = self.model.backbone.parameters_sha256()
        self.watch.begun()

    def _restore(self, state: State) -> None:
        self.optimizers(use_pl_optimizer=False).load_state_dict(state["optimizer"])  # type: ignore[union-attr]
        self.trainer.precision_plugin.load_state_dict(state["precision"])
        if self._average is not None:
            self._average.restore(state["average"])

    def on_train_epoch_start(self) -> None:
        self._train()

    def _train(self) -> None:
        self.model.train()
        if self.recipe.protocol == "frozen" and self.model.backbone is not None:
            self.model.backbone.eval()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = self.schedule(self.step, group["scale"])
        self.model.set_progress(self.step / self.schedule.total_steps)
        # For layers that know nothing of sample keys: at least the same after an interruption.
        torch.manual_seed((self.seed * 1_000_003 + self.step) % 2**31)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        self.model.set_sample_keys(batch["sample_key"])
        terms = self.model.loss(batch | {"batch_key": batch_key(self.seed, self.step)})
        shared = losses.share(terms, [float(self.signals.received == n) for n in HANDLED])
        self._terms = list(terms)
        self._noted = [name for name, term in terms.items() if isinstance(term, Note)]
        self._pending.append((self.step, torch.cat([shared.noted, shared.flags])))
        return shared.loss

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], batch_idx: int) -> None:
        self.step += 1
        if self._average is not None:
            self._average.update(self.model)
        if self._held_out is not None and self._held_out.due(self.step):
            figures = self._held_out.measure(self.model, self.device)
            self.held_out_curves.append({"step": self.step - 1} | figures)
            self._train()
        last = self.step == self.stop
        due = self.step % self.state_every == 0
        signum = 0
        if due or last or len(self._pending) >= self._read_every:
            signum = self._read()
        if (due or last or signum) and self.trainer.is_global_zero:
            self.watch.save(self._state())
        figures = {name: self.curves[-1][name] for name in ("loss", "lr")} if self.curves else {}
        self.watch.stepped(self.recipe.train.batch_size, figures)
        if signum:
            raise Interrupted(signum)

    def _read(self) -> int:
        """Move what was noted into the curves; the signal that some process received, or 0."""
        signum = 0
        for step, noted in self._pending:
            figures = noted.tolist()
            terms = dict(zip(self._terms, figures[: -len(HANDLED)], strict=True))
            came = figures[-len(HANDLED) :]
            loss = sum(value for name, value in terms.items() if name not in self._noted)
            if loss != loss or loss in (float("inf"), float("-inf")):
                raise RunFailed("the loss is not finite", step)
            row = {"step": step, "lr": self.schedule(step), "loss": loss}
            row |= terms if len(terms) > 1 else {}
            self.curves.append(row)
            if self.trainer.loggers and (step % 10 == 0 or step + 1 == self.stop):
                for logger in self.trainer.loggers:
                    logger.log_metrics(row, step=step)
            signum = signum or _first(came)
        self._pending.clear()
        return signum

    def _state(self) -> State:
        optimiser = self.optimizers(use_pl_optimizer=False)
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": optimiser.state_dict(),  # type: ignore[union-attr]
            "precision": self.trainer.precision_plugin.state_dict(),
            "average": None if self._average is None else self._average.state(),
            "curves": self.curves,
            "held_out": self.held_out_curves,
            "noted": self._noted,
            "encoder_sha256": self.encoder_sha256,
        }

    def on_train_end(self) -> None:
        """What came after the last step's figures were shared is raised here."""
        came = torch.tensor([float(self.signals.received == number) for number in HANDLED])
        signum = _first(collective.sum_over_processes(came.to(self.device)).tolist())
        self.signals.deferred = False
        if signum:
            raise Interrupted(signum)

    def on_predict_start(self) -> None:
        self.signals.take()
        self.model.eval()
        self.rows = []

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> int:
        rows = self.model.predict(batch)
        self.rows.extend(rows)
        self.watch.predicted(rows)
        return len(rows)

    def on_predict_epoch_end(self) -> None:
        self.rows = collective.gather(self.rows)


def _first(came: list[float]) -> int:
    """The first signal of `HANDLED` that some process received, or 0."""
    return next((int(n) for n, count in zip(HANDLED, came, strict=True) if count), 0)
