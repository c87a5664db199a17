"""Training a head on kept features against computing the encoder's features at every visit.

Run: python -m benchmarks.features [--epochs N] [--repeats N] [--limit N]. Both sides train the head
of the `tiny` pose recipe on a fixed encoder, without augmentation, in the engine; the features are
kept beforehand, and what that took is shown apart. The pairs are interleaved in one process and
their order alternates.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness.console import Console
from harness.engine import features
from harness.engine.execute import build
from harness.engine.fit import fit
from harness.engine.plan import Plan, make
from harness.engine.signals import Signals
from harness.options import RunOptions
from tasks.contract import TaskDataset

STILL = "augmentation={flip: 0, half_body: 0, shift: 0, scale_probability: 0, rotation: 0}"
QUIET = Console(quiet=True)


def seconds(plan: Plan, dataset: Callable[[Signals], TaskDataset]) -> float:
    """What a whole training on a data set takes, opening it included."""
    began = time.perf_counter()
    with Signals() as signals:
        fit(plan, build(plan), dataset(signals), None, [], signals, QUIET)
    return time.perf_counter() - began


def main() -> None:
    """Print medians, spread and the median of the pairs' quotients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=int, default=256)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sets = (STILL, f"train.epochs={arguments.epochs}", "train.steps=null")
        plan = make(
            RunOptions(
                protocol="frozen", output=Path(folder), limit=arguments.limit, sets=sets, workers=0
            ),
            QUIET,
        )
        # Beside the record, so that the cache of the user is left alone.
        passing = plan.recipe.model_copy(
            update={"features": plan.recipe.features.model_copy(update={"cache": False})}
        )
        vars(plan)["recipe"] = passing
        plan.folder.mkdir(parents=True)
        images = plan.datasets["training"]

        def kept(signals: Signals) -> TaskDataset:
            return features.remembered(plan, build(plan), images, signals, QUIET)

        began = time.perf_counter()
        with Signals() as signals:
            kept(signals)
        once = time.perf_counter() - began
        sides: dict[str, Callable[[Signals], TaskDataset]] = {
            "kept": kept,
            "computed": lambda _: images,
        }
        pairs = []
        for repeat in range(arguments.repeats):
            order = list(sides) if repeat % 2 == 0 else list(sides)[::-1]
            times = {name: seconds(plan, sides[name]) for name in order}
            pairs.append((times["computed"], times["kept"]))
    visits = arguments.epochs * arguments.limit
    print(f"{arguments.limit} images, {arguments.epochs} epochs; kept once in {once:.1f} s")
    for name, column in zip(("computed", "kept"), zip(*pairs, strict=True), strict=True):
        rates = sorted(visits / each for each in column)
        print(
            f"{name:9} {statistics.median(rates):8.1f} visits/s ({rates[0]:.1f} to {rates[-1]:.1f})"
        )
    quotients = sorted(a / b for a, b in pairs)
    print(
        f"quotient  {statistics.median(quotients):8.2f} ({quotients[0]:.2f} to {quotients[-1]:.2f})"
    )


if __name__ == "__main__":
    main()
