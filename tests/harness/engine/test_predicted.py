"""An evaluation that was killed goes on where it was, and ends with the same bits."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.console import Console
from harness.engine import predicted
from harness.engine.order import Share
from harness.engine.run import run
from harness.errors import Interrupted
from tasks.contract import Row
from tests.harness.engine import toy

QUIET = Console(quiet=True)
BATCH = 3


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The samples of each batch that is predicted; a process that is told to dies at one."""
    seen: list[list[int]] = []
    own = toy.ToyModel.predict

    def predict(self: toy.ToyModel, batch: dict[str, Any]) -> list[Row]:
        if len(seen) == int(os.environ.get("DIES_AT", "-1")):
            os.kill(os.getpid(), signal.SIGTERM)
        seen.append(batch["index"].tolist())
        return own(self, batch)

    monkeypatch.setattr(toy.ToyModel, "predict", predict)
    return seen


def options(folder: Path) -> Any:
    return toy.options(folder, f"train.batch_size={BATCH}")


def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, asked: list[list[int]]) -> Path:
    """A run that ended in its third batch of evaluation; returns what it kept."""
    monkeypatch.setenv("DIES_AT", "2")
    with pytest.raises(Interrupted):
        run(options(folder), QUIET)
    monkeypatch.delenv("DIES_AT")
    asked.clear()
    (kept,) = folder.rglob("predicted-*.parquet")
    return kept


def test_only_what_is_missing_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[list[int]]
) -> None:
    whole = run(options(tmp_path / "whole"), QUIET)
    batches = list(asked)
    asked.clear()
    kept = interrupted(tmp_path / "cut", monkeypatch, asked)
    again = run(options(tmp_path / "cut"), QUIET)
    assert asked == batches[2:]
    assert again.files == whole.files and again.metrics == whole.metrics
    assert not kept.exists() and not list((tmp_path / "whole").rglob("predicted-*"))
    assert again.cost["evaluation_seconds"] > 0


def test_what_cannot_be_read_or_is_of_other_weights_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[list[int]]
) -> None:
    kept = interrupted(tmp_path, monkeypatch, asked)
    other = kept.with_name(kept.name.replace("predicted-", "predicted-0"))
    other.write_bytes(kept.read_bytes())
    kept.write_bytes(kept.read_bytes()[:-9])
    again = run(options(tmp_path), QUIET)
    assert again.status == "finished" and sum(map(len, asked)) == 11
    assert not list(tmp_path.rglob("predicted-*"))


def test_the_key_is_of_every_weight() -> None:
    one, other = (toy.ToyModel(toy.ToyEncoder(0)) for _ in range(2))
    one.initialise(0)
    other.initialise(0)
    assert predicted.key(one) == predicted.key(other)
    with torch.no_grad():
        other.head.bias += 1e-7
    assert predicted.key(one) != predicted.key(other)


def test_batches_are_those_of_before() -> None:
    whole = list(Share(11, 4, 0, 1))
    assert list(Share(11, 4, 0, 1, {0, 1, 2, 3})) == whole[1:]
    assert list(Share(11, 4, 0, 1, set(range(11)))) == whole[-1:], "all must take part"
    # Of another number of processes: no sample twice, none left out.
    left = [list(Share(11, 4, rank, 2, {0, 1, 2, 3})) for rank in range(2)]
    assert sorted(chain(*chain(*left))) == list(range(4, 11))
