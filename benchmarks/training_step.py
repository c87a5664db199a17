"""A training step of the engine against a bare PyTorch loop on the same model and batches.

Run: python -m benchmarks.training_step [--steps N] [--repeats N]. Both sides train the pose model
of the `tiny` recipe; the batches are made beforehand, so that the loader is on neither side. The
pairs are interleaved in one process and their order alternates.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from harness.console import Console
from harness.engine import fit as fitting
from harness.engine import optimizer
from harness.engine.execute import build
from harness.engine.fit import quiet_lightning, trainer
from harness.engine.module import Training, Watch
from harness.engine.order import Batches, Feed, Visits
from harness.engine.plan import Plan, make
from harness.engine.schedule import Schedule
from harness.engine.signals import Signals
from harness.options import RunOptions


class Given:
    """Batches that are there; of a list Lightning would make one loader an entry."""

    def __init__(self, batches: list[dict[str, Any]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.batches)


def engine(plan: Plan, batches: list[dict[str, Any]]) -> float:
    """Seconds that the engine takes from its first to its last step."""
    marks: list[float] = []
    watch = Watch(
        lambda: marks.append(time.perf_counter()),
        lambda *_: marks.append(time.perf_counter()),
        lambda _: None,
        lambda _: None,
    )
    model = build(plan)
    schedule = Schedule(plan.recipe.schedule, plan.recipe.optimizer.lr, len(batches), 1)
    with Signals() as signals, quiet_lightning():
        module = Training(model, plan.recipe, schedule, len(batches), 0, signals, watch)
        trainer(plan, [], len(batches)).fit(module, Given(batches))
    return marks[-1] - marks[1]


def bare(plan: Plan, batches: list[dict[str, Any]]) -> float:
    """Seconds of the plainest loop over the same steps, the first left out."""
    model = build(plan).train()
    optimiser = optimizer.build(model, plan.recipe)
    schedule = Schedule(plan.recipe.schedule, plan.recipe.optimizer.lr, len(batches), 1)
    began = time.perf_counter()
    for step, batch in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = schedule(step, group["scale"])
        model.set_sample_keys(batch["sample_key"])
        loss = torch.stack([t.total / t.count for t in model.loss(batch).values()]).sum()
        optimiser.zero_grad()
        loss.backward()
        if plan.recipe.optimizer.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), plan.recipe.optimizer.clip_norm)
        optimiser.step()
        if step == 0:
            began = time.perf_counter()
    return time.perf_counter() - began


def main() -> None:
    """Print medians, spread and the median of the pairs' quotients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = make(RunOptions(output=Path(folder), limit=512), Console())
        data = plan.datasets["training"]
        size = plan.recipe.train.batch_size
        sampler = Batches(0, len(data), size, 0, arguments.steps, 0, 1)
        batches = list(Feed(Visits(data, 0), sampler, fitting.workers(plan)))
        pairs = []
        for repeat in range(arguments.repeats):
            sides = [engine, bare] if repeat % 2 == 0 else [bare, engine]
            times = {side.__name__: side(plan, batches) for side in sides}
            pairs.append((times["engine"], times["bare"]))
    steps = arguments.steps - 1
    for name, seconds in zip(("engine", "bare loop"), zip(*pairs, strict=True), strict=True):
        per_step = sorted(1000 * s / steps for s in seconds)
        print(
            f"{name:10} {statistics.median(per_step):8.1f} ms a step "
            f"({per_step[0]:.1f} to {per_step[-1]:.1f})"
        )
    quotients = sorted(a / b for a, b in pairs)
    print(
        f"quotient   {statistics.median(quotients):8.3f} "
        f"({quotients[0]:.3f} to {quotients[-1]:.3f}), {len(pairs)} pairs of {steps} steps"
    )


if __name__ == "__main__":
    main()
