"""Whether a file is the published one: its hash, or the one it had when it was fetched."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from backbones.entries import Entry
from backbones.errors import LoadError
from backbones.fingerprints import Fingerprint, fingerprint


def verify(path: Path, entry: Entry, record: Path, called: str | None = None) -> Fingerprint:
    """Compare a file with what its owners publish, and with the hash recorded of the one that was
    fetched, where they publish no whole SHA-256.

    Args:
        path: the file.
        entry: what it is to be.
        record: where the hash of the fetched file stands, wherever this file lies.
        called: what messages call a file that has just been downloaded; its path if None.

    Returns:
        The hashes of the file, which is read once for all of them.

    Raises:
        LoadError: it is another file, no checkpoint, or cannot be read.
    """
    if entry.size:
        _check_size(path, entry.size, entry.name, called)
    found = fingerprint(path, md5=bool(entry.md5_prefix))
    hint = "try again, or get it by hand" if called else "remove it, then fetch it again"
    published = f"expected the published {entry.name}; {hint}"
    first = f"as on its first use; {published}, or delete {record} where its owners replaced it"
    for kind, has, expected, said_by in _differences(found, entry, record):
        _refuse_other_content(path, called)
        advice = first if said_by == "record" else published
        digits = min(12, len(expected))
        raise LoadError(
            f"{called or path} has {kind} {has[:digits]}, not {expected[:digits]}; {advice}"
        )
    if not entry.sha256:
        # A page or an empty file would otherwise be what all later ones are compared with.
        _refuse_other_content(path, called)
    return found


def remember(found: Fingerprint, entry: Entry, record: Path) -> None:
    """Record the hash of a fetched file, where none is published and none was recorded yet.

    Raises:
        LoadError: the record cannot be read.
    """
    if not entry.sha256 and recorded_sha256(record) is None:
        _record(found.sha256, record)


def is_known(entry: Entry, record: Path) -> bool:
    """Whether anything tells the file from others: a hash, whole or its beginning.

    Raises:
        LoadError: the record cannot be read.
    """
    published = entry.sha256 or entry.sha256_prefix or entry.md5_prefix
    return bool(published or recorded_sha256(record))


def matches(path: Path, entry: Entry, record: Path) -> Fingerprint | None:
    """Return the hashes of a file that is the one looked for by all that is known of its hash; None
    for another, and for one that cannot be read or is just being written.

    Raises:
        LoadError: the record cannot be read.
    """
    try:
        if entry.size and path.stat().st_size != entry.size:
            return None
        found = fingerprint(path, md5=bool(entry.md5_prefix))
    except (OSError, LoadError):
        return None
    return None if any(_differences(found, entry, record)) else found


def _differences(
    found: Fingerprint, entry: Entry, record: Path
) -> Iterator[tuple[str, str, str, str]]:
    """Yield kind, the file's hash, the one expected, and who says so, where they differ."""
    recorded = None if entry.sha256 else recorded_sha256(record)
    checks = [
        ("MD5", found.md5, entry.md5_prefix, "owners"),
        ("SHA-256", found.sha256, entry.sha256 or entry.sha256_prefix, "owners"),
        ("SHA-256", found.sha256, recorded, "record"),
    ]
    for kind, has, expected, said_by in checks:
        if expected and not has.startswith(expected):
            yield kind, has, expected, said_by


def _check_size(path: Path, size: int, name: str, called: str | None) -> None:
    found = path.stat().st_size
    if found != size:
        _refuse_other_content(path, called)
        raise LoadError(
            f"{called or path} has {found} bytes, not {size}; expected the published {name}; "
            "remove it or fetch it again"
        )


def recorded_sha256(record: Path) -> str | None:
    """Return the hash that was recorded of the fetched file.

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
