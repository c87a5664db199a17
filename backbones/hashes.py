"""Whether a file is the published one: its hash, or the one it had when it first came."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from backbones.entries import Entry
from backbones.errors import LoadError


def verify(path: Path, entry: Entry, record: Path, called: str | None = None) -> None:
    """Compare a file with what its owners publish and with the hash recorded on first use, which
    is recorded now where none is.

    Args:
        path: the file.
        entry: what it is to be.
        record: where the hash of its first use stands, wherever the file itself lies.
        called: what messages call a file that has just been downloaded; its path if None.

    Raises:
        LoadError: it is another file, no checkpoint, or cannot be read.
    """
    if entry.size:
        _check_size(path, entry.size, entry.name, called)
    sha256 = digest(path)
    recorded = None if entry.sha256 else recorded_sha256(record)
    hint = "try again, or get it by hand" if called else "remove it, then fetch it again"
    published = f"expected the published {entry.name}; {hint}"
    first = f"as on its first use; {published}, or delete {record} where its owners replaced it"
    checks = [
        ("MD5", digest(path, "md5") if entry.md5_prefix else "", entry.md5_prefix, published),
        ("SHA-256", sha256, entry.sha256 or entry.sha256_prefix, published),
        ("SHA-256", sha256, recorded, first),
    ]
    for kind, found, expected, advice in checks:
        if expected and not found.startswith(expected):
            _refuse_other_content(path, called)
            digits = min(12, len(expected))
            raise LoadError(
                f"{called or path} has {kind} {found[:digits]}, not {expected[:digits]}; {advice}"
            )
    if recorded is None and not entry.sha256:
        # A page or an empty file would otherwise be what all later ones are compared with.
        _refuse_other_content(path, called)
        _record(sha256, record)


def _check_size(path: Path, size: int, name: str, called: str | None) -> None:
    found = path.stat().st_size
    if found != size:
        _refuse_other_content(path, called)
        raise LoadError(
            f"{called or path} has {found} bytes, not {size}; expected the published {name}; "
            "remove it or fetch it again"
        )


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the hash of a file in hexadecimal digits.

    Raises:
        LoadError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, kind).hexdigest()
    except OSError as error:
        raise LoadError(
            f"{path} cannot be read: {error.strerror}; mend its permissions or fetch it again"
        ) from error


def recorded_sha256(record: Path) -> str | None:
    """Return the hash that was recorded on first use.

    Raises:
        LoadError: the record cannot be read.
    """
    try:
        return record.read_text(encoding="ascii", errors="replace").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LoadError(
            f"{record} cannot be read: {error.strerror}; mend its permissions or delete it"
        ) from error


def _refuse_other_content(path: Path, called: str | None) -> None:
    """Say of a page, an archive or an empty file what it is, which tells more than its hash."""
    from backbones.files import sniff

    if sniff(path, called) == "safetensors index":
        raise LoadError(f"{called or path} is JSON, not a checkpoint: an answer in place of a file")


def _record(sha256: str, record: Path) -> None:
    """Write a hash for later runs to compare with, if the folder takes it."""
    # Runs that start together each write their own file; the last one to be renamed stays.
    part = record.with_name(f".{record.name}.{os.getpid()}.part")
    # A cache that cannot be written to (shared, full) is no fault of the weights, which are there
    # and as good as without a record: what is lost is the comparison in later runs.
    with contextlib.suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(sha256 + "\n", encoding="ascii")
            part.replace(record)
        finally:
            part.unlink(missing_ok=True)
