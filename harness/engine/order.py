"""Which sample is seen when: a function of (seed, position), of nothing else."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from collections.abc import Collection, Iterator
from functools import cache
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from tasks.contract import DataError, Handle, Ragged, TaskDataset

Visit = tuple[int, int]
"""(epoch, index): one visit to a sample."""


def permutation(seed: int, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The order of `count` samples in an epoch."""
    return np.random.default_rng([seed, epoch, 0]).permutation(count)


def augmentation_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator that a visit's augmentation draws from."""
    return np.random.default_rng([seed, epoch, index, 1])


def sample_key(seed: int, epoch: int, index: int) -> int:
    """A number in [0, 2^63) for the noise inside models at this visit."""
    return int(np.random.SeedSequence([seed, epoch, index, 2]).generate_state(1, np.uint64)[0] >> 1)


def batch_key(seed: int, step: int) -> int:
    """A number in [0, 2^63) for what a step draws once for its whole batch."""
    return int(np.random.SeedSequence([seed, step, 3]).generate_state(1, np.uint64)[0] >> 1)


class Batches:
    """Batch sampler of one process: epochs follow one another without a gap, so every step has
    `batch_size` samples over all processes and none is dropped. With `drop_last` an epoch ends
    before the batch that it could not fill, and leaves those samples out; `count` must be enough
    for a batch.

    Process `rank` of `world` takes every `world`-th sample of each batch.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        batch_size: int,
        start: int,
        stop: int,
        rank: int,
        world: int,
        drop_last: bool = False,
    ) -> None:
        self.seed, self.count, self.batch_size = seed, count, batch_size
        self.visited = count - count % batch_size if drop_last else count
        self.start, self.stop, self.rank, self.world = start, stop, rank, world

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[Visit]]:
        epoch = -1
        order = permutation(self.seed, 0, 0)
        for step in range(self.start, self.stop):
            visits: list[Visit] = []
            for position in range(step * self.batch_size, (step + 1) * self.batch_size):
                if position // self.visited != epoch:
                    epoch = position // self.visited
                    order = permutation(self.seed, epoch, self.count)
                visits.append((epoch, int(order[position % self.visited])))
            yield visits[self.rank :: self.world]


class Share:
    """Batch sampler for evaluation: each sample once over all processes, nothing padded.

    Samples that are `done` are left out of their batches, and batches that are done whole; but of
    these a process that would have nothing else keeps its last one, since all must take part.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        rank: int,
        world: int,
        done: Collection[int] = (),
    ) -> None:
        indices = list(range(rank, count, world))
        batches = [indices[k : k + batch_size] for k in range(0, len(indices), batch_size)]
        left = [[index for index in batch if index not in done] for batch in batches]
        self._batches = [batch for batch in left if batch] or batches[-1:]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)


class Chosen:
    """Batch sampler over batches that are listed."""

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class Visits(Dataset[dict[str, Any]]):
    """A task's data set as the training loop asks it: by visit, augmented."""

    def __init__(self, dataset: TaskDataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __getitem__(self, visit: Visit) -> dict[str, Any]:
        epoch, index = visit
        item = self.dataset.item(index, augmentation_rng(self.seed, epoch, index))
        return item | {"index": index, "sample_key": sample_key(self.seed, epoch, index)}


class Items(Dataset[dict[str, Any]]):
    """A task's data set as evaluation asks it: by index, without augmentation."""

    def __init__(self, dataset: TaskDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.dataset.item(index, None) | {"index": index}


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch: values stacked, those that are `Ragged` as a list of tensors, `Handle` as a list of
    what they hold."""
    lists: dict[str, list[Any]] = {}
    for name, value in items[0].items():
        if isinstance(value, Ragged):
            lists[name] = [torch.from_numpy(item[name].values) for item in items]
        elif isinstance(value, Handle):
            lists[name] = [item[name].value for item in items]
    rest = [{name: item[name] for name in item if name not in lists} for item in items]
    stacked: dict[str, Any] = default_collate(rest)
    return stacked | lists


class Feed:
    """The batches of a data set, in the order of `batches`, whatever the number of workers.

    Not a DataLoader itself: Lightning would build another in its place, with a sampler of its own.
    """

    def __init__(
        self,
        dataset: Dataset[dict[str, Any]],
        batches: Batches | Share | Chosen,
        workers: int,
        pin_memory: bool = False,
    ) -> None:
        if workers:
            _end_workers_at_exit()
        self._loader = DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=_quiet_worker if workers else None,
            pin_memory=pin_memory,
            prefetch_factor=4 if workers else None,
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            yield from self._loader
        except DataError as error:
            raise DataError(_in_one_line(str(error))) from None


def _in_one_line(message: str) -> str:
    """What a data set said: torch puts the worker's traceback before it, whose last line is
    `module.DataError: message`."""
    if not message.startswith("Caught "):
        return message
    return message.rstrip().splitlines()[-1].partition(": ")[2]


@cache
def _end_workers_at_exit() -> None:
    """An error may leave workers alive. At exit multiprocessing sends them one SIGTERM, which they
    spare, and would wait for ever."""

    def end() -> None:
        for child in multiprocessing.active_children():
            if child.daemon:
                child.kill()

    atexit.register(end)


def _quiet_worker(_: int) -> None:
    """Leave signals to the main process, which saves the state and ends its workers; and keep a
    worker to one thread, since there is a worker a core."""
    import cv2
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _spare_once)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _spare_once(signum: int, _: FrameType | None) -> None:
    """A first SIGTERM may be meant for the whole process group; a second is for this worker."""
    signal.signal(signum, signal.SIG_DFL)
