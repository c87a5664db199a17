"""What a file's bytes are, and whether they are still the same ones when they are used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from backbones.errors import LoadError

_CHUNK = 1 << 20


class Stamp(NamedTuple):
    """By what a changed file is told: any change moves one of these, except one that leaves the
    size and comes within the same tick of the file system's clock.

    Attributes:
        device, number: which file it is.
        size: in bytes.
        written: when it was last written to, in nanoseconds.
    """

    device: int
    number: int
    size: int
    written: int


@dataclass(frozen=True)
class Fingerprint:
    """The hashes of a file, all from one reading of it.

    Attributes:
        sha256, md5: in hexadecimal digits; the latter is "" where it was not asked for.
        stamp: of the file as it was then.
    """

    sha256: str
    md5: str
    stamp: Stamp


def fingerprint(path: Path, md5: bool = False) -> Fingerprint:
    """Read a file once and return its hashes.

    Args:
        path: the file.
        md5: whether that hash is wanted too.

    Raises:
        LoadError: it cannot be read, or changes meanwhile.
    """
    hashes = [hashlib.sha256(), *([hashlib.md5(usedforsecurity=False)] if md5 else [])]
    try:
        with path.open("rb") as file:
            before = _stamp(os.fstat(file.fileno()))
            while chunk := file.read(_CHUNK):
                for each in hashes:
                    each.update(chunk)
            after = _stamp(os.fstat(file.fileno()))
    except OSError as error:
        raise LoadError(
            f"{path} cannot be read: {error.strerror}; mend its permissions or fetch it again"
        ) from error
    if after != before:
        raise _changed(path)
    sha256, *others = (each.hexdigest() for each in hashes)
    return Fingerprint(sha256, "".join(others), before)


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Return the stamp of each file.

    Raises:
        LoadError: one cannot be looked at.
    """
    try:
        return {path: _stamp(path.stat()) for path in paths}
    except OSError as error:
        raise LoadError(f"{error.filename} cannot be read: {error.strerror}") from error


def require_unchanged(before: Mapping[Path, Stamp]) -> None:
    """Compare files with their stamps.

    Raises:
        LoadError: one of them has changed or is gone.
    """
    for path, stamp in before.items():
        try:
            same = _stamp(path.stat()) == stamp
        except OSError:
            same = False
        if not same:
            raise _changed(path)


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _changed(path: Path) -> LoadError:
    return LoadError(
        f"{path} changed while it was read; repeat the command when whatever writes it is done"
    )
