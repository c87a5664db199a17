"""Where an encoder's file is, and getting it there."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backbones.download import Progress, download
from backbones.entries import Entry, catalogue, is_path, is_timm_name, objectives, outside, unknown
from backbones.errors import LoadError
from backbones.fingerprints import Fingerprint
from backbones.hashes import is_known, matches, recorded_sha256, remember, verify
from backbones.partial import Part

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".tar", ".ckpt")
"""Of the files that are looked at when one is looked for by its hash."""


@dataclass(frozen=True)
class Located:
    """A file, and what its name says.

    Attributes:
        name: the encoder's name.
        path: its file.
        entry: its row in the catalogue, if it is named there.
        arch: fields of the architecture that the name implies.
        fingerprint: of an encoder of the catalogue, as it was verified.
        notes: what could not be verified of it.
    """

    name: str
    path: Path
    entry: Entry | None = None
    arch: dict[str, Any] = field(default_factory=dict)
    fingerprint: Fingerprint | None = None
    notes: tuple[str, ...] = ()


def locate(name_or_path: str, progress: Progress | None = None) -> Located:
    """Find an encoder's file; fetch a published one into the cache.

    Args:
        name_or_path: as `load` takes it.
        progress: told of a download, if there is one.

    Raises:
        LoadError: an unknown name, or a file that cannot be had.
    """
    offer = outside(name_or_path)
    entry = catalogue().get(name_or_path)
    if entry is not None:
        return _named(entry, progress)
    if is_timm_name(name_or_path):
        from backbones.timm_names import locate_timm

        path, arch = locate_timm(name_or_path, folders())
        return Located(name_or_path, path, arch=arch)
    if is_path(name_or_path):
        path = Path(name_or_path).expanduser()
        return Located(path.stem, path)
    if name_or_path in objectives():
        raise LoadError(
            f"{name_or_path!r} is an objective; which encoder stands for it depends on the scale: "
            f"{', '.join(sorted(set(objectives()[name_or_path].values())))}"
        )
    if offer:
        raise LoadError(f"{offer.who} comes with that package: there is no file to look for")
    raise unknown(name_or_path)


def cache_root() -> Path:
    """Return the cache folder: HARNESS_CACHE, or `harness` in the platform's cache folder."""
    if root := os.environ.get("HARNESS_CACHE"):
        return Path(root).expanduser()
    if platform.system() == "Darwin":
        return Path.home() / "Library" / "Caches" / "harness"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "harness"


def checkpoints() -> Path:
    """Return the folder of fetched checkpoints in the cache."""
    return cache_root() / "checkpoints"


def own_folder() -> Path | None:
    """Return the folder of files that the user already has: HARNESS_WEIGHTS.

    Raises:
        LoadError: it is no folder.
    """
    given = os.environ.get("HARNESS_WEIGHTS")
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise LoadError(
            f"{folder} is no folder; give one that exists with --weights-dir or HARNESS_WEIGHTS"
        )
    return folder


def folders() -> list[Path]:
    """Return where a file is looked for by name, in this order.

    Raises:
        LoadError: HARNESS_WEIGHTS is no folder.
    """
    own = own_folder()
    return [checkpoints()] if own is None else [own, checkpoints()]


def offline() -> bool:
    """Whether nothing may be fetched: HARNESS_OFFLINE is set to anything but 0."""
    return os.environ.get("HARNESS_OFFLINE", "0") not in ("", "0")


def get(entry: Entry, progress: Progress | None = None) -> Path:
    """Return the file of a named encoder, verified; download it where that is possible.

    Looked for by name in the user's own folder and in the cache, then by hash in the former.

    Raises:
        LoadError: it is not there and cannot be had, or it is not the one that it should be.
    """
    return _named(entry, progress).path


def _named(entry: Entry, progress: Progress | None) -> Located:
    if entry.shipped:
        if not entry.shipped_path.is_file():
            raise LoadError(
                f"{entry.name} is not in this installation: {entry.shipped_path} is missing"
            )
        found = verify(entry.shipped_path, entry, _record(entry))
        return Located(entry.name, entry.shipped_path, entry, fingerprint=found)
    own, cached = own_folder(), checkpoints() / entry.file
    if own is not None and (own / entry.file).is_file():
        found = verify(own / entry.file, entry, _record(entry))
        return _owned(own / entry.file, entry, found)
    if cached.is_file():
        return Located(entry.name, cached, entry, fingerprint=_accepted(cached, entry))
    if own is not None and (known := _by_hash(own, entry)):
        return _owned(known[0], entry, known[1])
    return Located(entry.name, cached, entry, fingerprint=_fetch(entry, cached, progress))


def _record(entry: Entry) -> Path:
    return checkpoints() / f"{entry.file}.sha256"


def _accepted(path: Path, entry: Entry, called: str | None = None) -> Fingerprint:
    """Verify what was fetched, by a download or by hand into the cache: what later ones of that
    name are compared with."""
    found = verify(path, entry, _record(entry), called)
    remember(found, entry, _record(entry))
    return found


def _owned(path: Path, entry: Entry, found: Fingerprint) -> Located:
    """Say of a file of the user's own how far it is known to be the published one.

    Its hash is no record for others: it may be a file that was never published.
    """
    notes: tuple[str, ...] = ()
    if not entry.sha256 and recorded_sha256(_record(entry)) is None:
        begins = entry.sha256_prefix or entry.md5_prefix
        compared = "only the beginning of its hash" if begins else "no hash of it"
        notes = (f"the user's own file {path.name}: {compared} is published to compare with",)
    return Located(entry.name, path, entry, fingerprint=found, notes=notes)


def _by_hash(own: Path, entry: Entry) -> tuple[Path, Fingerprint] | None:
    """Find the file in the user's own folder, or in one below it, under another name."""
    if not is_known(entry, _record(entry)):
        return None
    for path in sorted(own.rglob("*")):
        # Unlike Path's own method, this one tells a file in a closed folder from none by False.
        fits = path.suffix in SUFFIXES and os.path.isfile(path)  # noqa: PTH113
        if fits and (found := matches(path, entry, _record(entry))):
            return path, found
    return None


def _fetch(entry: Entry, path: Path, progress: Progress | None) -> Fingerprint:
    put = f"put it at {path}, or as {path.name} into a folder given with --weights-dir"
    if entry.by_hand:
        raise LoadError(f"{entry.name} has to be downloaded by hand: {entry.address}; {put}")
    if offline():
        raise LoadError(
            f"{entry.name} is not in the cache and this run is offline; get {entry.source} and "
            f"{put}, or leave out --offline (HARNESS_OFFLINE)"
        )

    def accept(part: Path) -> Fingerprint:
        return _accepted(part, entry, called=entry.source)

    with _alone(entry, path, progress):
        if path.is_file():  # from another process, for which this one has waited
            return _accepted(path, entry)
        return download(entry.source, path, accept, progress)


@contextmanager
def _alone(entry: Entry, path: Path, progress: Progress | None) -> Iterator[None]:
    """Keep other processes from downloading the same file; wait for one that already does."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=1.0)
            except Timeout:
                begun = Part(path).begun(entry.source)
                if progress and begun:
                    progress(begun.size, begun.total)
    except OSError as error:
        raise LoadError(
            f"cannot write to {path.parent} ({error.strerror}); name another place with "
            "HARNESS_CACHE"
        ) from error
    try:
        yield
    finally:
        lock.release()
