"""Do two processes give the figures of one, up to the order of sums?

Runs a cell once with two processes on the CPU, and several times with one process whose samples are
permuted within their batches: nothing but the order of floating-point sums differs between those.
Prints where the two-process figures lie among them.

    python studies/process_spread.py [--runs 6] [--steps 60] [--task pose] [--output DIR]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from harness.console import Console
from harness.engine import fit
from harness.engine.order import Batches, Visit
from harness.engine.run import run
from harness.options import RunOptions, as_command
from results import Record, read


def permuted(number: int) -> type[Batches]:
    """Batches with the same samples, in an order within each batch that `number` decides."""

    class Permuted(Batches):
        def __iter__(self) -> Iterator[list[Visit]]:
            rng = np.random.default_rng(number)
            for visits in super().__iter__():
                yield [visits[i] for i in rng.permutation(len(visits))]

    return Permuted


def one_process(options: RunOptions, number: int) -> Record:
    plain = fit.Batches
    fit.Batches = permuted(number) if number else plain  # type: ignore[misc]
    try:
        return run(options, Console())
    finally:
        fit.Batches = plain  # type: ignore[misc]


def two_processes(options: RunOptions) -> Record:
    words = as_command(replace(options, devices=2)).split()
    subprocess.run([sys.executable, "-m", "harness.cli.main", *words[1:]], check=True)
    (path,) = options.output.glob("*/*/*/record.json")
    return read(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--task", default="pose")
    parser.add_argument("--output", type=Path, default=Path("runs/process_spread"))
    given = parser.parse_args()
    options = RunOptions(task=given.task, max_steps=given.steps)
    alone = [
        one_process(replace(options, output=given.output / f"one{number}"), number)
        for number in range(given.runs)
    ]
    pair = two_processes(replace(options, output=given.output / "two"))
    print(f"{given.task}, {given.steps} steps; one process, {given.runs} orders within batches:")
    for name, figure in pair.metrics.items():
        values = [record.metrics[name].value for record in alone]
        spread = statistics.stdev(values)
        away = abs(figure.value - statistics.fmean(values)) / spread if spread else float("nan")
        print(
            f"  {name:5} {min(values):.5f} to {max(values):.5f}, standard deviation {spread:.5f}; "
            f"two processes {figure.value:.5f} ({away:.1f} standard deviations off), n {figure.n} "
            f"against {alone[0].metrics[name].n}"
        )


if __name__ == "__main__":
    main()
