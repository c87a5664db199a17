"""A data set at its root: which part serves as which split, whether it is whole, reading it."""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tasks.contract import DataError, RecipeError, Split
from tasks.names import printable
from tasks.tracking.sequences import Source
from tasks.tracking.sources import places, vot
from tasks.tracking.sources.contract import MissingError
from tasks.tracking.sources.got10k import FOLDER, GOT10K, has_parts
from tasks.tracking.sources.lasot import LASOT
from tasks.tracking.sources.otb import OTB100, OTB2013
from tasks.tracking.sources.trackingnet import TRACKINGNET
from tasks.tracking.sources.uav123 import UAV123

if TYPE_CHECKING:
    from tasks.tracking.recipe import TrackingData, TrainingSet
    from tasks.tracking.sources.building import Found, Read
    from tasks.tracking.sources.contract import Layout, Part
    from tasks.tracking.sources.places import Place

LAYOUTS = {
    "got10k": GOT10K,
    "lasot": LASOT,
    "trackingnet": TRACKINGNET,
    "otb100": OTB100,
    "otb2013": OTB2013,
    "otb2015": OTB100,
    "uav123": UAV123,
    "vot": vot.VOT,
    "folder": FOLDER,
}

ON_PURPOSE = "(on purpose: --set data.partial=true)"

_THREADS = 4 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Opened:
    """A data set's layout at its root.

    Attributes:
        version: `data.version`.
        checked: whether numbers of sequences must be the published ones.
    """

    name: str
    layout: Layout
    root: Place
    version: str
    checked: bool

    def part(self, split: Split) -> Part | None:
        """What serves as a split; None where there is nothing of its own."""
        if split == "training":
            there = self.name != "folder" or self.root.inside("train") is not None
            return "train" if there and "train" in self.layout.counts else None
        if self.name == "got10k":
            test: Part = "test" if self.version == "test" else "val"
            return test if split == "test" else ("val" if test == "test" else None)
        if split == "selection":
            return "val" if self.name == "folder" and self.root.inside("val") else None
        return "test"

    def find(self, part: Part) -> list[Found]:
        """The sequences of a part, unread.

        Raises:
            DataError: files are missing, or it is another number than was published.
        """
        try:
            found = self.layout.find(self.root, part)
        except MissingError as error:
            raise DataError(f"{self.layout.title}: {error}; {self.layout.how_to_get}") from None
        if not found:
            raise DataError(
                f"{self.layout.title}: there is no sequence of {part} in `{self.root.path}`; "
                f"{self.layout.how_to_get}"
            )
        expected = self._published(part)
        if self.checked and expected not in (None, len(found)):
            raise DataError(
                f"{self.layout.title}: expected {expected} sequences of {part}, found {len(found)}"
                f" in `{self.root.path}` {ON_PURPOSE}"
            )
        return found

    def _published(self, part: Part) -> int | None:
        if self.name != "vot":
            return self.layout.counts[part]
        year = re.search(r"20\d\d", f"{self.version} {self.root.path.rpartition('/')[2]}")
        return vot.COUNTS.get(year.group()) if year else None

    def source(
        self,
        found: list[Found],
        skipped: dict[str, int] | None = None,
        notes: tuple[str, ...] = (),
    ) -> Source:
        """Read sequences."""
        read = _read(found)
        whole = hashlib.sha256(b"".join(one.digest for one in read)).hexdigest()
        sequences = [one.sequence for one in read]
        notes = (*self.layout.notes, *notes)
        return Source(self.name, sequences, whole, self.layout.licence, skipped or {}, notes)


def _read(found: list[Found]) -> list[Read]:
    pool = ThreadPoolExecutor(_THREADS)
    try:
        return list(pool.map(lambda one: one.read(), found))
    finally:
        pool.shutdown(cancel_futures=True)


def own(data: TrackingData) -> Opened:
    """The data set that is measured on."""
    layout = LAYOUTS[data.name]
    if data.root is None:
        raise DataError(f"`{data.name}` needs --data-root DIR; {layout.how_to_get}")
    if data.name == "got10k" and data.version not in ("", "val", "test"):
        raise RecipeError(f"got10k: data.version is val or test, not `{data.version}`")
    if data.version and data.name not in ("got10k", "vot"):
        raise RecipeError(f"data.version is for got10k and vot, not for `{data.name}`")
    root = places.root(data.root, layout.expected)
    if data.name == "vot" and data.version:
        year = root.inside(data.version)
        if year is None:
            missing = f"there is no folder `{printable(data.version)}` in `{root.path}`"
            raise DataError(f"{layout.title}: {missing}; {layout.how_to_get}")
        root = year
    return Opened(data.name, layout, root, data.version, not data.partial)


def other(one: TrainingSet, data: TrackingData) -> Opened:
    """A set to train on. A folder without split folders is one to train on, all of it."""
    layout = LAYOUTS[one.name]
    root = places.root(one.root, layout.expected)
    if one.name == "folder" and not has_parts(root):
        layout = replace(layout, find=partial(_everything, layout))
    return Opened(one.name, layout, root, "", not data.partial)


def _everything(layout: Layout, root: Place, part: Part) -> list[Found]:
    return layout.find(root, "test")
