"""Files that are written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


class ResultsError(ValueError):
    """A record, table or file of predictions that the user can mend; the message is one line."""


def write_bytes(path: Path, content: bytes) -> str:
    """Write beside `path`, then rename: a reader sees the old file or the new one.

    Returns:
        The content's sha256.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, text: str) -> str:
    """As `write_bytes`, UTF-8."""
    return write_bytes(path, text.encode())
