"""`data.fraction` in every task: a nested part of the training samples, and another data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from harness import plugins
from harness.console import Console
from harness.engine.plan import make
from harness.options import RunOptions
from harness.recipes import load_resolved
from tasks.contract import Ragged, TaskDataset
from tasks.tracking.data import TrackingDataset

TASKS = [name for name, target in plugins.TASKS.items() if target.startswith("tasks.")]


def training(name: str) -> TaskDataset:
    task = plugins.task(name)
    recipe = load_resolved(name, yaml.safe_load((task.recipes / "smoke.yaml").read_text()))
    task.prepare(recipe)
    return task.dataset(recipe, "training")


def contents(dataset: TaskDataset) -> list[bytes]:
    """What tells the samples apart: all that an item holds. Tracking draws any number of pairs from
    its sequences: these are its samples here."""
    if isinstance(dataset, TrackingDataset):
        return [sequence.boxes.tobytes() for sequence in dataset.sequences]
    items = (dataset.item(index, np.random.default_rng(0)) for index in range(len(dataset)))
    return [b"".join(_bytes(item[key]) for key in sorted(item)) for item in items]


def _bytes(value: Any) -> bytes:
    return np.asarray(value.values if isinstance(value, Ragged) else value).tobytes()


@pytest.mark.parametrize("name", TASKS)
def test_smaller_parts_lie_in_larger_ones_with_their_labels(name: str) -> None:
    whole = training(name)
    before = whole.info
    parts = [whole.fraction(share, 3) for share in (0.25, 0.5)]
    small, large, everything = (set(contents(part)) for part in (*parts, whole))
    assert small < large < everything
    assert 0 < len(contents(parts[0])) < len(contents(parts[1])) < len(contents(whole))
    assert [part.info.count for part in parts] == [len(part) for part in parts]
    hashes = {part.info.sha256 for part in (*parts, whole, whole.fraction(0.5, 4))}
    assert len(hashes) == 4
    assert whole.info == before


@pytest.mark.parametrize("name", TASKS)
def test_a_fraction_is_another_cell_and_reaches_training_alone(name: str, tmp_path: Any) -> None:
    options = RunOptions(task=name, scale="smoke", output=tmp_path)
    quiet = Console(quiet=True)
    whole = make(options, quiet)
    part = make(RunOptions(**{**vars(options), "sets": ("data.fraction=0.5",)}), quiet)
    assert part.cell != whole.cell
    of_part, of_whole = (len(contents(plan.datasets["training"])) for plan in (part, whole))
    assert of_part < of_whole
    for split in ("selection", "test"):
        assert part.datasets[split].info == whole.datasets[split].info
    at_default = make(RunOptions(**{**vars(options), "sets": ("data.fraction=1.0",)}), quiet)
    assert at_default.cell == whole.cell
