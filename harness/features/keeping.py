"""What is kept, and taking it away; imports no torch."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.features import records
from harness.features.errors import FeatureError
from harness.features.locks import exclusive, used
from harness.features.manifest import Manifest
from harness.features.manifest import read as read_manifest
from harness.features.places import IN_USE, LOCK
from harness.features.size import folder_bytes

_REMOVED = ".removed-"
_DAY = 86400.0


@dataclass(frozen=True)
class Kept:
    """A set of features as it lies on disk.

    Attributes:
        name: of its folder.
        manifest: what it is; None where that cannot be read.
        bytes: what it takes.
        there: number of shards that are there.
        trouble: what is wrong with it, or None; the content of the shards is not looked at.
        in_use: whether a running process has it open.
        last_used: when it was opened last, seconds since the epoch.
    """

    name: str
    manifest: Manifest | None
    bytes: int
    there: int
    trouble: str | None
    in_use: bool
    last_used: float

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.manifest is None or self.trouble:
            return "damaged"
        if self.there < self.manifest.shards:
            return f"{self.there} of {self.manifest.shards} shards"
        return "complete"


@dataclass(frozen=True)
class Cleared:
    """What was taken away, and what was left since a running process has it open."""

    removed: tuple[Kept, ...]
    in_use: tuple[Kept, ...]


def kept(root: Path) -> list[Kept]:
    """All sets of features in a folder, which need not exist, by encoder, data set and split.

    Raises:
        FeatureError: the folder cannot be read, or its file system has no locks.
    """
    with _locked(root):
        return sorted(map(_kept, _folders(root)), key=_order)


def clear(root: Path, names: Sequence[str] | None, older_than: float | None = None) -> Cleared:
    """Take sets of features away, whole; what a running process has open stays.

    A process that ends meanwhile leaves no set in part: a set is first given a name under which
    nobody looks for it.

    Args:
        root: the folder of all features.
        names: the beginnings of their names; all sets if None.
        older_than: only those that were not opened for as many days.

    Raises:
        FeatureError: no set, or more than one, has such a name; the folder cannot be written.
    """
    with _locked(root):
        found = [_kept(folder) for folder in _folders(root)]
        chosen = found if names is None else _chosen(found, names)
        if older_than is not None:
            oldest = time.time() - older_than * _DAY
            chosen = [one for one in chosen if one.last_used < oldest]
        free = [one for one in chosen if not one.in_use]
        for one in free:
            (root / one.name).rename(root / f"{_REMOVED}{one.name}-{uuid.uuid4().hex[:8]}")
        # Those too whose removal was broken off.
        for folder in root.glob(f"{_REMOVED}*"):
            shutil.rmtree(folder, ignore_errors=True)
    return Cleared(tuple(free), tuple(one for one in chosen if one.in_use))


def _chosen(found: Collection[Kept], names: Sequence[str]) -> list[Kept]:
    chosen: dict[str, Kept] = {}
    for name in names:
        fitting = [one for one in found if one.name.startswith(name)]
        exact = [one for one in fitting if one.name == name] or fitting
        if len(exact) != 1 or not name:
            known = ", ".join(one.name for one in (fitting or found)) or "none"
            what = "more than one set" if fitting else "no set"
            raise FeatureError(f"{what} of features has the key `{name}`; there are: {known}")
        chosen[exact[0].name] = exact[0]
    return list(chosen.values())


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Keep others from opening a set meanwhile. Where there is no folder there is no set."""
    try:
        if not root.is_dir():
            yield
            return
        with exclusive(root / LOCK):
            yield
    except OSError as error:
        raise FeatureError(
            f"cannot work on the features in {root} ({error.strerror or error}): mend its "
            "permissions, or name another place with HARNESS_CACHE"
        ) from error


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _kept(folder: Path) -> Kept:
    manifest, trouble, there = None, None, 0
    try:
        manifest = read_manifest(folder)
        there = sum(records.is_there(folder, shard) for shard in range(manifest.shards))
    except FeatureError as error:
        trouble = str(error)
    mark = folder / IN_USE
    last_used = (mark if mark.exists() else folder).stat().st_mtime
    return Kept(folder.name, manifest, folder_bytes(folder), there, trouble, used(mark), last_used)


def _order(one: Kept) -> tuple[str, ...]:
    if one.manifest is None:
        return ("", "", "", one.name)
    origin = one.manifest.origin
    return (origin.encoder, origin.dataset, origin.split, one.name)
