"""From a data set as its owners split it to our training, selection and test split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tasks.classification import microworld
from tasks.classification.datasets import folder, reading, splits
from tasks.classification.datasets.catalogue import PUBLICATIONS
from tasks.classification.datasets.contract import Images, Part
from tasks.classification.datasets.files import readable
from tasks.contract import DataError, Split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from tasks.classification.datasets.contract import Figure, Official
    from tasks.classification.recipe import ClassificationData

    Rows = NDArray[np.int64]
    Progress = Callable[[int, int], None] | None

UNREADABLE = "unreadable image"

COMPARED_AT_MOST = 200_000
"""Images of a published data set among which a run looks for those that are there twice."""

SEARCH = "`harness data check`"


@dataclass(frozen=True)
class Opened:
    """A data set, split.

    Attributes:
        parts: the images of each split with their labels, `rows` of them.
        rows: split -> the rows of its part.
        figure: what ranks encoders.
        groups: name -> class numbers that are reported together.
        skipped: split -> reason -> number of images that were left out.
    """

    parts: dict[Split, Part]
    rows: dict[Split, Rows]
    class_names: tuple[str, ...]
    figure: Figure
    licence: str
    groups: dict[str, list[int]]
    skipped: dict[Split, dict[str, int]]
    notes: tuple[str, ...]

    def first(self, split: Split, limit: int | None) -> Rows:
        """The first rows of a split, by turns of the classes: lists are often sorted by class."""
        rows = self.rows[split]
        labels = self.parts[split].labels[rows]
        if limit is None or limit >= len(rows):
            return rows
        if labels.ndim == 2:
            return rows[:limit]
        order = np.argsort(labels, kind="stable")
        _, firsts, counts = np.unique(labels[order], return_index=True, return_counts=True)
        turns = np.empty(len(rows), np.int64)
        turns[order] = np.arange(len(rows)) - np.repeat(firsts, counts)
        return rows[np.sort(np.lexsort((np.arange(len(rows)), turns))[:limit])]

    def digest(self, split: Split, rows: Rows) -> str:
        """Hash of everything that decides `rows` of a split: classes, names, sizes and labels, and
        of microworld the manifests."""
        part = self.parts[split]
        whole = hashlib.sha256("\n".join([split, self.figure, *self.class_names]).encode())
        if isinstance(part.images, microworld.WorldImages):
            for world in part.images.worlds:
                whole.update(world.manifest["sha256"].encode())
        for row, label in zip(rows.tolist(), part.labels[rows].tolist(), strict=True):
            line = f"{part.images.name(row)}\t{part.images.size(row)}\t{label}\n"
            whole.update(line.encode())
        return whole.hexdigest()


class Joined(Images):
    """The images of one part, then those of another."""

    def __init__(self, first: Images, second: Images) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def read(self, row: int) -> NDArray[np.uint8]:
        images, row = self._place(row)
        return images.read(row)

    def name(self, row: int) -> str:
        images, row = self._place(row)
        return images.name(row)

    def size(self, row: int) -> int:
        images, row = self._place(row)
        return images.size(row)

    def content(self, row: int) -> bytes:
        images, row = self._place(row)
        return images.content(row)

    def end(self, row: int, count: int) -> bytes:
        images, row = self._place(row)
        return images.end(row, count)

    def _place(self, row: int) -> tuple[Images, int]:
        count = len(self.first)
        return (self.first, row) if row < count else (self.second, row - count)


def open_data(data: ClassificationData, progress: Progress = None) -> Opened:
    """Open a data set.

    Raises:
        DataError: files that are missing (with the expected layout) or malformed.
    """
    if data.name == "microworld":
        official, groups = microworld.read(data), microworld.groups(data)
        return _split(official, data, "accuracy", "generated; no terms", groups, progress)
    if data.name == "folder":
        official = folder.read(_root(data, folder.LAYOUT), data.duplicates, progress)
        licence = "not stated in the folder; the owner knows"
        return _split(official, data, "accuracy", licence, {}, progress)
    published = PUBLICATIONS[data.name]
    root = _root(data, reading.how_to_get(published))
    official = reading.read(data.name, root, data.partial)
    found = reading.parts(official)
    if sum(len(part.images) for part in found.values()) <= COMPARED_AT_MOST:
        # What its owners put into two splits is the data set's own fault: named, and kept.
        twins = splits.judged(splits.duplicates(found, progress), "count")
    else:
        twins = (f"images that are there twice were not looked for; {SEARCH} does",)
    official = replace(official, notes=(*official.notes, *twins))
    return _split(official, data, published.figure, published.licence, {}, progress)


def _root(data: ClassificationData, layout: str) -> Path:
    if data.root is None:
        raise DataError(f"`{data.name}` needs --data-root DIR, with {layout}")
    return data.root


def _split(
    official: Official,
    data: ClassificationData,
    figure: Figure,
    licence: str,
    groups: dict[str, list[int]],
    progress: Progress,
) -> Opened:
    train, val = official.train, official.val
    everything = np.arange(len(train.images))
    if val is None:
        names = [train.images.name(row) for row in everything.tolist()]
        held = splits.hold_out(train.labels, names, data.held_out, data.held_out_seed)
        if len(names) <= COMPARED_AT_MOST:
            for rows_alike in splits.copies(train, progress):
                # Selection must not see what training has.
                held[rows_alike] = False
        parts: dict[Split, Part] = {"training": train, "selection": train}
        rows: dict[Split, Rows] = {
            "training": everything if data.join_selection else everything[~held],
            "selection": everything[held],
        }
    else:
        joined = _join(train, val) if data.join_selection else train
        parts = {"training": joined, "selection": val}
        rows = {split: np.arange(len(part.images)) for split, part in parts.items()}
    parts["test"], rows["test"] = official.test, np.arange(len(official.test.images))
    skipped: dict[Split, dict[str, int]] = {split: {} for split in parts}
    skipped["training"] = dict(official.skipped)
    if data.skip_unreadable:
        for split, part in parts.items():
            kept = readable(part.images, rows[split].tolist(), progress)
            if not kept.all():
                skipped[split] = skipped[split] | {UNREADABLE: int((~kept).sum())}
                rows[split] = rows[split][kept]
    return Opened(
        parts, rows, official.class_names, figure, licence, groups, skipped, official.notes
    )


def _join(first: Part, second: Part) -> Part:
    images = Joined(first.images, second.images)
    return replace(first, images=images, labels=np.concatenate((first.labels, second.labels)))
