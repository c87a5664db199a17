"""Looking through a data set that was read: images that cannot be decoded, images twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch.utils.data import DataLoader, Dataset

from tasks.classification.datasets import splits
from tasks.classification.datasets.contract import Images, Official
from tasks.classification.datasets.reading import parts
from tasks.contract import DataError

_BLOCK = 32
_WORTH_A_WORKER = 1_000
"""Images for which another process is worth its start."""


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        broken: a message for each image that cannot be decoded.
        twins: images that are the same bytes.
        lines: both in words, for people.
    """

    broken: tuple[str, ...]
    twins: splits.Duplicates
    lines: tuple[str, ...]


def counts(official: Official) -> list[str]:
    """A line for each part, one for the classes, and what is odd about the data set."""
    lines = [f"{name}: {len(part.images)} images" for name, part in parts(official).items()]
    notes = [f"note: {note}" for note in official.notes]
    skipped = [f"left out: {count} ({reason})" for reason, count in official.skipped.items()]
    return [*lines, f"classes: {len(official.class_names)}", *skipped, *notes]


def look_through(
    official: Official, progress: Callable[[int, int], None] | None = None
) -> Findings:
    """Decode every image and compare all of them with each other.

    Args:
        official: the data set.
        progress: `(done, total)` images decoded.
    """
    found = parts(official)
    total, done = sum(len(part.images) for part in found.values()), 0
    broken = []
    for part in found.values():
        for said in _decoded(part.images):
            done += 1
            if said is not None:
                broken.append(said)
            if progress is not None:
                progress(done, total)
    twins = splits.duplicates(found)
    return Findings(tuple(broken), twins, splits.judged(twins, "count"))


class _Attempts(Dataset[str | None]):
    """For each image what is wrong with it, None where nothing is."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> str | None:
        try:
            self.images.read(row)
        except DataError as error:
            return str(error)
        return None


def _decoded(images: Images) -> Iterator[str | None]:
    workers = min(os.cpu_count() or 1, len(images) // _WORTH_A_WORKER)
    loader = DataLoader(_Attempts(images), _BLOCK, num_workers=workers, collate_fn=list)
    for block in loader:
        yield from block
