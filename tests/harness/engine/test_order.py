"""The order of samples is a function of seed and position."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pytest

from harness.engine.order import Batches, Feed, Items, Share, Visits, permutation, sample_key
from tasks.contract import DataError
from tests.harness.engine.toy import ToyData


def batches(
    start: int = 0, stop: int = 40, rank: int = 0, world: int = 1, drop_last: bool = False
) -> list[list[tuple[int, int]]]:
    return list(Batches(3, 37, 6, start, stop, rank, world, drop_last))


def test_every_epoch_visits_each_sample_once() -> None:
    visits = list(chain(*batches(stop=37)))
    per_epoch = Counter(epoch for epoch, _ in visits)
    assert per_epoch == dict.fromkeys(range(6), 37)
    assert len(set(visits)) == len(visits)


def test_epochs_and_seeds_differ() -> None:
    orders = [[i for e, i in chain(*batches(stop=37)) if e == epoch] for epoch in range(6)]
    assert len({tuple(order) for order in orders}) == 6
    assert batches() != list(Batches(4, 37, 6, 0, 40, 0, 1))


def test_an_epoch_without_its_last_batch() -> None:
    """The first 36 of each epoch's permutation; the next epoch starts its own from the front."""
    found = batches(stop=12, drop_last=True)
    for epoch in (0, 1):
        order = permutation(3, epoch, 37)[:36].tolist()
        assert list(chain(*found[6 * epoch :][:6])) == [(epoch, index) for index in order]
    assert len(found) == 12 and all(len(batch) == 6 for batch in found)
    whole = [Batches(3, 36, 6, 0, 12, 0, 1, drop_last) for drop_last in (False, True)]
    assert list(whole[0]) == list(whole[1])


@pytest.mark.parametrize("drop_last", [False, True])
def test_an_interruption_changes_no_batch(drop_last: bool) -> None:
    parts = batches(stop=17, drop_last=drop_last) + batches(start=17, drop_last=drop_last)
    assert parts == batches(drop_last=drop_last)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_share_the_batches_of_one(world: int, drop_last: bool) -> None:
    shares = [batches(rank=rank, world=world, drop_last=drop_last) for rank in range(world)]
    for whole, *parts in zip(batches(drop_last=drop_last), *shares, strict=True):
        assert sorted(chain(*parts)) == sorted(whole)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_each_sample_once(world: int) -> None:
    shares = [list(Share(11, 4, rank, world)) for rank in range(world)]
    assert sorted(chain(*chain(*shares))) == list(range(11))


def test_sample_keys_differ() -> None:
    keys = {sample_key(s, e, i) for s in range(3) for e in range(5) for i in range(20)}
    assert len(keys) == 300 and all(0 <= key < 2**63 for key in keys)


def test_workers_change_no_byte() -> None:
    def read(workers: int) -> list[np.ndarray]:
        visits = Visits(ToyData("training"), 3)
        data = Feed(visits, Batches(3, 37, 6, 0, 9, 0, 1), workers)
        return [batch["image"].numpy() for batch in data]

    alone = read(0)
    assert len(alone) == 9 and not np.array_equal(alone[0], alone[1])
    for workers in (1, 2):
        assert all(np.array_equal(a, b) for a, b in zip(alone, read(workers), strict=True))


class Broken(ToyData):
    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        raise DataError("cannot read `7.png`: truncated; restore it: now")


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_cannot_read_is_said_in_one_line(workers: int) -> None:
    data = Feed(Items(Broken("test")), Share(11, 4, 0, 1), workers)
    with pytest.raises(DataError) as said:
        next(iter(data))
    assert str(said.value) == "cannot read `7.png`: truncated; restore it: now"


def test_evaluation_is_not_augmented() -> None:
    data = Feed(Items(ToyData("test")), Share(11, 4, 0, 1), 0)
    for batch in data:
        assert (batch["image"].float().std((1, 2, 3)) == 0).all()
