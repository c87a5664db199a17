"""Files that are written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path


class ResultsError(ValueError):
    """A record, table or file of predictions that the user can mend; the message is one line."""


def write_bytes(path: Path, content: bytes) -> str:
    """Write beside `path`, then rename: a reader sees the old file or the new one.

    Returns:
        The content's sha256.

    Raises:
        OSError: naming the file, where it cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        # A full disk is reported by write(), which knows no name.
        error.filename = error.filename or str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, text: str) -> str:
    """As `write_bytes`, UTF-8."""
    return write_bytes(path, text.encode())


def read_bytes(path: Path, sha256: str | None = None) -> bytes:
    """The file's content, which must have the hash, where one is given.

    Raises:
        ResultsError: it cannot be read, or is not the file whose hash is given.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"cannot read `{path}`: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ResultsError(
            f"`{path}` is not the file that its record names (sha256 {found[:12]}..., expected "
            f"{sha256[:12]}...): truncated or changed since; restore it or repeat the run"
        )
    return content


def _sync_folder(folder: Path) -> None:
    """Make the new name outlive a loss of power."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
