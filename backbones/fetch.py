"""Where an encoder's file is, and getting it there."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import platform
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backbones.entries import Entry, catalogue, is_path, is_timm_name, objectives, unknown
from backbones.errors import LoadError

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Located:
    """A file, and what its name says.

    Attributes:
        name: the encoder's name.
        path: its file.
        entry: its row in the catalogue, if it is named there.
        arch: fields of the architecture that the name implies.
    """

    name: str
    path: Path
    entry: Entry | None = None
    arch: dict[str, Any] = field(default_factory=dict)


def locate(name_or_path: str) -> Located:
    """Find an encoder's file; fetch a published one into the cache.

    Raises:
        LoadError: an unknown name, or a file that cannot be had.
    """
    entry = catalogue().get(name_or_path)
    if entry is not None:
        return Located(name_or_path, get(entry), entry)
    if is_timm_name(name_or_path):
        from backbones.timm_names import locate_timm

        path, arch = locate_timm(name_or_path, checkpoints())
        return Located(name_or_path, path, arch=arch)
    if is_path(name_or_path):
        path = Path(name_or_path).expanduser()
        return Located(path.stem, path)
    if name_or_path in objectives():
        raise LoadError(
            f"{name_or_path!r} is an objective; which encoder stands for it depends on the scale: "
            f"{', '.join(sorted(set(objectives()[name_or_path].values())))}"
        )
    raise unknown(name_or_path)


def checkpoints() -> Path:
    """Return the folder of fetched checkpoints: `checkpoints` under HARNESS_CACHE, or under
    `harness` in the platform's cache folder."""
    if root := os.environ.get("HARNESS_CACHE"):
        return Path(root).expanduser() / "checkpoints"
    if platform.system() == "Darwin":
        return Path.home() / "Library" / "Caches" / "harness" / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "harness" / "checkpoints"


def offline() -> bool:
    """Whether nothing may be fetched: HARNESS_OFFLINE is set to anything but 0."""
    return os.environ.get("HARNESS_OFFLINE", "0") not in ("", "0")


def get(entry: Entry, progress: Progress | None = None) -> Path:
    """Return the file of a named encoder, verified; download it where that is possible.

    Raises:
        LoadError: it is not there and cannot be had, or it is not the one that it should be.
    """
    if entry.shipped:
        if not entry.shipped_path.is_file():
            raise LoadError(
                f"{entry.name} is not in this installation: {entry.shipped_path} is missing"
            )
        verify(entry.shipped_path, entry)
        return entry.shipped_path
    path = checkpoints() / entry.file
    if not path.is_file():
        _fetch(entry, path, progress)
    verify(path, entry)
    return path


def _fetch(entry: Entry, path: Path, progress: Progress | None) -> None:
    if entry.by_hand:
        raise LoadError(
            f"{entry.name} has to be downloaded by hand: {entry.address}; "
            f"put it at {path} or give it with --backbone FILE"
        )
    if offline():
        raise LoadError(
            f"{entry.name} is not in the cache and this run is offline; get {entry.source} "
            f"and put it at {path}"
        )
    download(entry.source, path, progress)


def download(source: str, path: Path, progress: Progress | None = None) -> None:
    """Download to a temporary file beside `path` and rename it when it is whole.

    Args:
        source: an https address.
        path: where the file goes.
        progress: called with (bytes so far, bytes in all or None).

    Raises:
        LoadError: no connection, an answer that is no file, one that is cut short, or a full disk.
    """
    if not source.startswith("https://"):
        raise LoadError(f"expected an https address, got {source}")
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(source, timeout=60) as answer:
            expected = _length(answer.headers.get("Content-Length"), source)
            _check_room(path.parent, expected)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
                part = Path(file.name)
                done = 0
                while chunk := answer.read(1 << 20):
                    file.write(chunk)
                    done += len(chunk)
                    if progress:
                        progress(done, expected)
        if expected is not None and done != expected:
            raise LoadError(f"{source} was cut short: {done} of {expected} bytes; try again")
        from backbones.files import sniff

        if sniff(part, called=source) == "safetensors index":
            raise LoadError(f"{source} is JSON, not a checkpoint: an answer in place of the file")
        part.replace(path)
    except (urllib.error.URLError, OSError) as error:
        raise LoadError(f"{source} could not be downloaded to {path}: {error}") from error
    except http.client.HTTPException as error:
        # Their texts may be empty or end in a line break.
        raise LoadError(f"{source} broke off or answered no HTTP ({error!r}); try again") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _length(said: str | None, source: str) -> int | None:
    try:
        return int(said) if said else None
    except ValueError as error:
        raise LoadError(
            f"{source} answered with Content-Length {said!r}, expected a number of bytes; try "
            "again, or download it by hand"
        ) from error


def _check_room(folder: Path, needed: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and needed > free:
        raise LoadError(f"{folder} has {free >> 20} MiB left, the file needs {needed >> 20} MiB")


def verify(path: Path, entry: Entry) -> None:
    """Compare a file with its published hash, or with the one recorded when it first came.

    Raises:
        LoadError: it is another file, or cannot be read.
    """
    hint = f"expected the published {entry.name}; delete it and fetch it again"
    if entry.size and path.stat().st_size != entry.size:
        raise LoadError(f"{path} has {path.stat().st_size} bytes, not {entry.size}; {hint}")
    if entry.md5_prefix:
        found = _digest(path, "md5")
        if not found.startswith(entry.md5_prefix):
            raise LoadError(f"{path} has MD5 {found[:6]}, not {entry.md5_prefix}; {hint}")
    sha256 = _digest(path, "sha256")
    recorded = path.with_name(path.name + ".sha256")
    if entry.sha256:
        expected: str | None = entry.sha256
    elif recorded.is_file():
        expected = _read_record(recorded)
    else:
        expected = None
    for known in filter(None, (expected, entry.sha256_prefix)):
        if not sha256.startswith(known):
            raise LoadError(f"{path} has SHA-256 {sha256[:12]}, not {known[:12]}; {hint}")
    if expected is None and not entry.shipped:
        _record(sha256, recorded)


def _digest(path: Path, kind: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, kind).hexdigest()
    except OSError as error:
        raise LoadError(
            f"{path} cannot be read: {error.strerror}; mend its permissions or fetch it again"
        ) from error


def _read_record(recorded: Path) -> str:
    try:
        return recorded.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise LoadError(
            f"{recorded} cannot be read: {error.strerror}; mend its permissions or delete it"
        ) from error


def _record(sha256: str, recorded: Path) -> None:
    """Write a hash for later runs to compare with, if the folder takes it."""
    # Runs that start together each write their own file; the last one to be renamed stays.
    part = recorded.with_name(f".{recorded.name}.{os.getpid()}.part")
    # A cache that cannot be written to (shared, full) is no fault of the weights, which are there
    # and as good as without a record: what is lost is the comparison in later runs.
    with contextlib.suppress(OSError):
        try:
            part.write_text(sha256 + "\n", encoding="ascii")
            part.replace(recorded)
        finally:
            part.unlink(missing_ok=True)
