"""Does the interval of a test of attention cover the truth as often as it says?

Two encoders, eight blocks of six heads, whose true values are known, are looked at with new images
again and again. An image has what all share, what each block and what each head has of its own
(gamma values of mean 1). The heads of an encoder differ by up to a factor of three, or lie within a
fifth of one another: there the smallest of noisy means, and their range, are biased. Beside the
interval in use stands the plain one between quantiles.

    python studies/claims_coverage.py [--repeats 400]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from harness.analysis.claims import bootstrap
from harness.analysis.claims.inside import of_encoder
from harness.analysis.claims.model import Attention

Floats = NDArray[np.float64]
BLOCKS, HEADS = 8, 6
CASES = {"differ": (0.3, 0.3), "differ, alike": (0.3, 0.8), "alike": (0.8, 0.8)}
"""What the heads of both do -> the least true value of a head of each; the largest is 1."""
REDUCED = ("mean", "min", "range", "std")
DRAWS = 1000


def draw(truth: Floats, n: int, rng: np.random.Generator) -> list[Floats]:
    """Values (n,blocks,heads) of both encoders on the same images."""
    shared = rng.gamma(4, 1 / 4, (n, 1, 1))
    return [
        each
        * shared
        * rng.gamma(9, 1 / 9, (n, BLOCKS, 1))
        * rng.gamma(9, 1 / 9, (n, BLOCKS, HEADS))
        for each in truth
    ]


def covered(case: str, heads: str, n: int, repeats: int) -> tuple[float, float]:
    """How often the interval in use, and the plain one, cover the true difference."""
    test = Attention.model_validate(
        {"evidence": "attention", "measure": "attention.distance", "heads": heads}
        | {"blocks": "last", "of": "mim - supervised", "below": 0}
    )

    def statistic(means: Sequence[Floats]) -> Floats:
        first, second = (of_encoder(test, each) for each in means)
        return first - second

    rng = np.random.default_rng(n)
    found = []
    for _ in range(repeats):
        truth = np.stack([rng.uniform(least, 1, (BLOCKS, HEADS)) for least in CASES[case]])
        expected = float(statistic([each[None] for each in truth])[0])
        samples = draw(truth, n, rng)
        _, low, high = bootstrap.interval(statistic, samples)
        drawn = bootstrap._drawn(statistic, samples, np.random.default_rng(0))
        plain = np.quantile(drawn, [0.025, 0.975])
        found.append((low <= expected <= high, plain[0] <= expected <= plain[1]))
    used, simple = np.mean(found, axis=0)
    return float(used), float(simple)


def rows(repeats: int) -> Iterator[str]:
    """Lines of a Markdown table, each as soon as it is known."""
    yield "| heads | over heads | images | in use | between quantiles |"
    yield "|---|---|---|---|---|"
    for case in CASES:
        for heads in REDUCED:
            for n in (16, 64, 256):
                used, simple = covered(case, heads, n, repeats)
                yield f"| {case} | {heads} | {n} | {100 * used:.0f} % | {100 * simple:.0f} % |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=400)
    repeats = parser.parse_args().repeats
    bootstrap.RESAMPLES = DRAWS
    for line in rows(repeats):
        print(line, flush=True)


if __name__ == "__main__":
    main()
