"""A reduced form of studies/compare_coverage.py: intervals cover, and are not endless."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

REPEATS = 500
ROOM = 4 * (0.95 * 0.05 / REPEATS) ** 0.5
"""Four standard deviations of a share of 0.95 among so many repeats: 0.039."""


@pytest.fixture(scope="module")
def study() -> ModuleType:
    path = Path(__file__).parents[2] / "studies/compare_coverage.py"
    spec = importlib.util.spec_from_file_location("compare_coverage", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A data class looks its module up.
    sys.modules["compare_coverage"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("kind", "seeds", "ratio", "width"),
    [(0, 3, 3, 2.0), (1, 3, 1, 1.8), (2, 5, 1, 1.3)],
)
def test_coverage_and_width(
    study: ModuleType, kind: int, seeds: int, ratio: int, width: float
) -> None:
    found = study.cell(study.KINDS[kind], seeds, 200, ratio, REPEATS, 0, resamples=True)
    for rule in ("in use", "by resamples"):
        assert found.coverage[rule] > 0.95 - ROOM
        assert 0.95 < found.width[rule] < width


def test_seeds_do_not_pay_twice_for_their_own_chance(study: ModuleType) -> None:
    """With ten seeds it is nearly what one would use who knew the variance; to take all of the
    sampling error as shared costs more than half as much again."""
    found = study.cell(study.KINDS[0], 10, 200, 0, REPEATS, 0)
    assert found.width["in use"] < 1.15
    assert found.width["all shared"] > 1.5


def test_the_truth_is_that_of_the_simulation(study: ModuleType) -> None:
    """What coverage is held against, from many images and from many seeds."""
    rng = np.random.default_rng(5)
    seeds = rng.standard_normal((2, 100_000))
    for kind in study.KINDS:
        scores = study.draw(kind, 1, 100_000, 0.0, rng)[:, 0]
        found = kind.expected(np.array(kind.means))
        assert scores.mean(axis=1) == pytest.approx(found, abs=5 * scores.std() / 100_000**0.5)
        means = [kind.expected(m + 0.8 * z) for m, z in zip(kind.means, seeds, strict=True)]
        truth, deviation = kind.over_seeds(0.8)
        difference = means[0] - means[1]
        room = 5 * difference.std() / 100_000**0.5
        assert difference.mean() == pytest.approx(truth, abs=room)
        assert difference.std() == pytest.approx(deviation, rel=0.02)
