"""The published contract test passes our tasks and catches what breaks the contract."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import backbones
from harness import plugins
from harness.options import RunOptions
from harness.recipes import resolve
from harness.testing import check_task


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def pose() -> tuple[Any, Any, Any]:
    """The pose task at its smallest, with an encoder of some thousand parameters."""
    recipe = resolve(RunOptions(task="pose", scale="smoke", limit=4))
    arch = {"embed_dim": 32, "depth": 2, "patch_size": 16, "num_heads": 2}
    encoder = backbones.create("beit", arch, recipe.backbone.input_size, seed=0)
    return plugins.task("pose"), recipe, encoder


def test_pose_keeps_the_contract() -> None:
    check_task(*pose())


def unequal_shapes(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dataset.item

    def item(self: Any, index: int, rng: Any) -> dict[str, Any]:
        return whole(self, index, rng) | {"more": np.zeros(index)}

    monkeypatch.setattr(dataset, "item", item)


def hidden_randomness(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, drawn = dataset.item, np.random.default_rng(0)

    def item(self: Any, index: int, rng: Any) -> dict[str, Any]:
        return whole(self, index, rng) | {"more": drawn.random()}

    monkeypatch.setattr(dataset, "item", item)


def no_permutation(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "permuted", lambda self, seed: self)


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (unequal_shapes, "has a fixed shape"),
        (hidden_randomness, "depends on index and generator alone"),
        (no_permutation, "permuted exchanges labels"),
    ],
)
def test_data_sets_that_break_a_rule_are_caught(
    fault: Any, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, recipe, encoder = pose()
    task.prepare(recipe)
    fault(type(task.dataset(recipe, "training")), monkeypatch)
    with pytest.raises(AssertionError, match=rule):
        check_task(task, recipe, encoder)


def evaluation_without_refusal(task: Any, rows: Any, dataset: Any) -> Any:
    known = [row for row in rows if row["sample"] < len(dataset)]
    return type(task).evaluate(task, known, dataset)


def another_primary(task: Any, rows: Any, dataset: Any) -> Any:
    return dataclasses.replace(type(task).evaluate(task, rows, dataset), primary="AR")


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (evaluation_without_refusal, "of a sample that there is not"),
        (another_primary, "the same primary metric"),
    ],
)
def test_evaluations_that_break_a_rule_are_caught(
    fault: Any, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, recipe, encoder = pose()
    monkeypatch.setattr(
        task, "evaluate", lambda rows, dataset: fault(task, rows, dataset), raising=False
    )
    with pytest.raises(AssertionError, match=rule):
        check_task(task, recipe, encoder)
