"""Does the interval of `harness compare` cover the truth as often as it says, and how wide is it?

Two encoders whose true difference is known are compared again and again, each time with new seeds
and new test images. An image is harder or easier for both, suits one of them more, and falls to
chance in each run (a latent normal value each); a seed moves all images of its run. A score is the
latent value itself (`continuous`), its exponential (`skewed`, like an error of depth), or whether
it is above 0 (`correct`, at about 70 % and 95 %). The truth is the expectation over seeds and
images. The spread of seeds is set so that the expected difference of a pair of runs deviates by 0,
1 or 3 times its sampling error.

Beside the interval in use stand Satterthwaite's quantile on the same two components; and with it
the rule that takes all of the sampling error as shared by the seeds. `--resamples` adds the
interval from 200 resamples of the test images in place of scores, as for AP.

    python studies/compare_coverage.py [--repeats 4000] [--seed 0] [--resamples]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, roots_hermitenorm, stdtrit

sys.path.insert(0, str(Path(__file__).parents[1]))
from results.components import Part, half_width
from results.pairing import of_scores
from results.statistics import Interval, interval

Floats = NDArray[np.float64]

DIFFICULTY, LIKING, CHANCE = 1.0, 0.5, 0.5
"""Standard deviations of what an image has for all, for one encoder, and for one run."""
SPREAD = sqrt(DIFFICULTY**2 + LIKING**2 + CHANCE**2)
NODES, WEIGHTS = roots_hermitenorm(60)
RULES = ("in use", "Satterthwaite", "all shared", "by resamples")
"""The last only where it is asked for."""
DRAWS = 200


@dataclass(frozen=True)
class Kind:
    """A kind of score: the latent means (2,) of the two encoders."""

    name: str
    means: tuple[float, float]

    def score(self, latent: Floats) -> Floats:
        """What is measured of latent values."""
        if self.name == "continuous":
            return latent
        return np.exp(latent / 2) if self.name == "skewed" else (latent > 0).astype(float)

    def expected(self, mean: Any) -> Any:
        """The mean score over images, of a run with this latent mean."""
        if self.name == "continuous":
            return mean
        if self.name == "skewed":
            return np.exp(mean / 2 + SPREAD**2 / 8)
        return ndtr(mean / SPREAD)

    def over_seeds(self, spread: float) -> tuple[float, float]:
        """True difference, and the deviation between seeds of a pair's expected difference."""
        found = [self.expected(mean + spread * NODES) for mean in self.means]
        weights = WEIGHTS / WEIGHTS.sum()
        first, second = (float(weights @ values) for values in found)
        variance = sum(float(weights @ (values - weights @ values) ** 2) for values in found)
        return first - second, sqrt(variance)


KINDS = (
    Kind("correct 70 %", (SPREAD * float(ndtri(0.72)), SPREAD * float(ndtri(0.70)))),
    Kind("correct 95 %", (SPREAD * float(ndtri(0.955)), SPREAD * float(ndtri(0.95)))),
    Kind("continuous", (0.05, 0.0)),
    Kind("skewed", (0.05, 0.0)),
)


@dataclass(frozen=True)
class Cell:
    """One line of the table.

    Attributes:
        ratio: deviation between seeds in sampling errors of one pair of runs.
        coverage, width: by rule; width is the mean width over the ideal one: that of an
            interval by someone who knows the variance of the mean difference.
        ideal: the ideal width, in the score's unit.
    """

    kind: str
    seeds: int
    samples: int
    ratio: float
    coverage: dict[str, float]
    width: dict[str, float]
    ideal: float


def draw(kind: Kind, seeds: int, samples: int, spread: float, rng: np.random.Generator) -> Floats:
    """Scores (2, S, N) of the seeds of two encoders on new test images."""
    images = DIFFICULTY * rng.standard_normal(samples)
    liking = LIKING * rng.standard_normal((2, 1, samples))
    shift = np.array(kind.means)[:, None, None] + spread * rng.standard_normal((2, seeds, 1))
    chance = CHANCE * rng.standard_normal((2, seeds, samples))
    return kind.score(images + liking + shift + chance)


def cell(
    kind: Kind,
    seeds: int,
    samples: int,
    ratio: float,
    repeats: int,
    seed: int,
    resamples: bool = False,
) -> Cell:
    """Compare two encoders `repeats` times."""
    rules = RULES if resamples else RULES[:3]
    rng = np.random.default_rng([seed, KINDS.index(kind), seeds, samples, int(ratio)])
    spread = _spread(kind, samples, ratio)
    truth, _ = kind.over_seeds(spread)
    means = np.empty(repeats)
    halves = np.empty((len(rules), repeats))
    for number in range(repeats):
        scores = draw(kind, seeds, samples, spread, rng)
        means[number], halves[:, number] = _compare(scores, resamples)
    ideal = 2 * float(ndtri(0.975)) * float(np.sqrt(np.mean((means - truth) ** 2)))
    covered = (np.abs(means - truth) <= halves).mean(axis=1)
    width = 2 * halves.mean(axis=1) / ideal
    return Cell(
        kind.name,
        seeds,
        samples,
        ratio,
        dict(zip(rules, covered.tolist(), strict=True)),
        dict(zip(rules, width.tolist(), strict=True)),
        ideal,
    )


def cells(repeats: int, seed: int, resamples: bool) -> Iterator[Cell]:
    """The whole table."""
    for kind in KINDS:
        for seeds in (3, 5, 10):
            for samples in (200, 2000):
                for ratio in (0, 1, 3):
                    yield cell(kind, seeds, samples, ratio, repeats, seed, resamples)


def table(found: Sequence[Cell]) -> str:
    """As Markdown."""
    rules = list(found[0].coverage)
    heads = " | ".join(f"{rule} | width" for rule in rules)
    lines = [
        f"| score | seeds | images | seed deviation | ideal width | {heads} |",
        "|" + "---|" * (5 + 2 * len(rules)),
    ]
    for c in found:
        cells = (f"{100 * c.coverage[rule]:.1f} % | {c.width[rule]:.2f}" for rule in rules)
        lines.append(
            f"| {c.kind} | {c.seeds} | {c.samples} | {c.ratio} | {c.ideal:.4f} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


def extremes(found: Sequence[Cell]) -> str:
    """Least and mean coverage and the widths of each rule, as Markdown."""
    lines = ["| rule | least coverage | mean coverage | mean width | widest |", "|" + "---|" * 5]
    for rule in found[0].coverage:
        covered = [c.coverage[rule] for c in found]
        width = [c.width[rule] for c in found]
        lines.append(
            f"| {rule} | {100 * min(covered):.1f} % | {100 * np.mean(covered):.1f} % | "
            f"{np.mean(width):.2f} | {max(width):.2f} |"
        )
    return "\n".join(lines)


def _spread(kind: Kind, samples: int, ratio: float) -> float:
    """The deviation of seeds on the latent scale that gives this ratio."""
    if not ratio:
        return 0.0
    # A fixed large draw: what it misses changes the ratio's third digit.
    scores = draw(kind, 1, 400_000, 0.0, np.random.default_rng(1))
    error = float((scores[0, 0] - scores[1, 0]).std()) / sqrt(samples)
    return float(brentq(lambda spread: kind.over_seeds(spread)[1] - ratio * error, 0.0, 5.0))


def _compare(scores: Floats, resamples: bool) -> tuple[float, list[float]]:
    """The mean difference, and half the width of its interval by each rule."""
    count, samples = scores.shape[1:]
    runs = scores.reshape(2 * count, samples)
    values = np.subtract(*scores.mean(axis=2)).tolist()
    used, summed = _intervals(values, runs, runs.std(axis=1, ddof=1) / sqrt(samples), samples)
    halves = [
        half_width(list(used.parts.values())),
        _satterthwaite(list(used.parts.values())),
        _satterthwaite(list(summed.parts.values())),
    ]
    if resamples:
        drawn = runs @ _resamples(samples)
        by_draws, _ = _intervals(values, drawn, drawn.std(axis=1, ddof=1), samples)
        halves.append(half_width(list(by_draws.parts.values())))
    return used.mean, halves


def _intervals(
    values: list[float], scores: Floats, errors: Floats, samples: int
) -> tuple[Interval, Interval]:
    """With what the seeds share, and with all of the sampling error shared."""
    found = of_scores(scores, errors, samples)
    if found is None:
        raise ValueError("scores without spread have an error")
    count = [found.samples] * len(values)
    return interval(values, found.errors, count, found.shared), interval(
        values, found.errors, count
    )


@cache
def _resamples(samples: int) -> Floats:
    """(N, draws) weights of the images in each resample, the same for all comparisons."""
    drawn = np.random.default_rng(2).multinomial(samples, np.full(samples, 1 / samples), DRAWS)
    return drawn.T / samples


def _satterthwaite(parts: Sequence[Part]) -> float:
    total = sum(part.variance for part in parts)
    freedom = total**2 / sum(part.variance**2 / part.freedom for part in parts)
    return float(stdtrit(freedom, 0.975)) * sqrt(total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resamples", action="store_true")
    given = parser.parse_args()
    found = []
    for one in cells(given.repeats, given.seed, given.resamples):
        found.append(one)
        print(f"{len(found)} of 72 cells", end="\r", file=sys.stderr, flush=True)
    print(table(found), extremes(found), sep="\n\n")


if __name__ == "__main__":
    main()
