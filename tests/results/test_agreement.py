"""On which images two encoders differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from results import Record
from results.agreement import Agreement, agreement
from results.mcnemar import mcnemar
from tests.results.records import make

SAMPLES = [10, 11, 12, 13, 14, 15]
RIGHT = {
    ("a", 0): [1, 1, 1, 0, 0, 1],
    ("a", 1): [1, 0, 1, 1, 0, 1],
    ("b", 0): [0, 0, 1, 1, 0, 0],
    ("b", 1): [0, 1, 1, 1, 0, 0],
}


def group(name: str) -> list[Record]:
    return [make(name, seed) for seed in (0, 1)]


def scores(record: Record) -> Mapping[str, Any]:
    """Turned round for one, which must not matter."""
    right = RIGHT[record.backbone["name"], record.seed]
    step = -1 if record.seed else 1
    return {"sample": SAMPLES[::step], "correct": right[::step], "confidence": [0.5] * 6}


def found() -> Agreement:
    same = agreement(group("a"), group("b")[::-1], scores)
    assert isinstance(same, Agreement)
    return same


def test_each_seed_has_its_test() -> None:
    same = found()
    assert same.seeds == (0, 1)
    assert same.tests == tuple(mcnemar(RIGHT["a", s], RIGHT["b", s]) for s in (0, 1))
    assert same.differ == pytest.approx((4 / 6 + 3 / 6) / 2)


def test_images_of_the_first_seed_those_of_most_seeds_first() -> None:
    same = found()
    # 11 is so in the first seed only, 10 and 15 in both.
    assert same.a_right_b_wrong == (10, 15, 11)
    assert same.b_right_a_wrong == (13,)


def test_right_is_right_where_the_metric_weighs_images() -> None:
    """As of the mean over classes, whose own scores are shares of their class."""

    def weighted(record: Record) -> Mapping[str, Any]:
        columns = scores(record)
        shares = [value * 1.5 for value in columns["correct"]]
        return {"sample": columns["sample"], record.primary: shares} | columns

    assert agreement(group("a"), group("b"), weighted) == found()


def test_it_says_why_there_is_none() -> None:
    def continuous(record: Record) -> Mapping[str, Any]:
        return {"sample": SAMPLES, "oks": [0.1, 0.2, 0.3, 0.4, 0.5, 1.0]}

    assert agreement(group("a"), group("b"), continuous) == (
        "the scores by sample (`oks`) are not right or wrong"
    )
    assert agreement(group("a"), group("b"), lambda _: None) == (
        "the scores of `a` (seed 0) are not at hand"
    )
