"""On which images two encoders are right and wrong, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from results.mcnemar import McNemar, mcnemar
from results.pairing import Columns, Scores, aligned
from results.record import Record

RIGHT = "correct"


@dataclass(frozen=True)
class Agreement:
    """What two encoders have right of the same images.

    Attributes:
        seeds: in ascending order; the first is the one whose images are listed.
        tests: McNemar's test of each seed.
        a_right_b_wrong, b_right_a_wrong: samples of the first seed; those that this is so for in
            most seeds come first, then by sample.
    """

    seeds: tuple[int, ...]
    tests: tuple[McNemar, ...]
    a_right_b_wrong: tuple[int, ...]
    b_right_a_wrong: tuple[int, ...]

    @property
    def differ(self) -> float:
        """Share of images that exactly one has right, a mean over seeds."""
        return fsum(test.differ for test in self.tests) / len(self.tests)


def agreement(a: Sequence[Record], b: Sequence[Record], scores: Scores) -> Agreement | str:
    """Compare two groups of records with the same seeds image by image, by scores of 0 and 1 (the
    column `correct`, where a metric's own scores are weighted); why that cannot be where it cannot.

    Raises:
        ResultsError: scores of different samples.
    """
    import numpy as np

    first, second = ({record.seed: record for record in group} for group in (a, b))
    seeds = sorted(first.keys() & second.keys())
    records = [first[seed] for seed in seeds] + [second[seed] for seed in seeds]
    found = aligned(records, lambda record: _right(scores(record)))
    if isinstance(found, str):
        return found
    if not np.isin(found.values, (0, 1)).all():
        return f"the scores by sample (`{found.column}`) are not right or wrong"
    right_a, right_b = found.values[: len(seeds)], found.values[len(seeds) :]
    tests = (mcnemar(x.tolist(), y.tolist()) for x, y in zip(right_a, right_b, strict=True))
    return Agreement(
        tuple(seeds),
        tuple(tests),
        _alone(right_a > right_b, found.samples),
        _alone(right_b > right_a, found.samples),
    )


def _right(columns: Columns | None) -> Columns | None:
    if columns is None or RIGHT not in columns:
        return columns
    return {name: columns[name] for name in ("sample", RIGHT)}


def _alone(only: Any, samples: Sequence[Any]) -> tuple[int, ...]:
    """Samples (N,) that are true in the first row of `only` (S, N), most often true first."""
    count = only.sum(axis=0)
    there = [i for i, true in enumerate(only[0]) if true]
    return tuple(int(samples[i]) for i in sorted(there, key=lambda i: (-count[i], samples[i])))
