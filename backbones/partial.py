"""The part of a file that has come so far, and whether it can be gone on with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Begun:
    """A download that broke off.

    Attributes:
        size: bytes that have come.
        validator: entity tag or date of the last change, for If-Range.
        total: bytes of the whole file, where the server told.
    """

    size: int
    validator: str
    total: int | None


class Part:
    """`NAME.part` beside the file's place, and what is known of it in `NAME.part.json`."""

    def __init__(self, target: Path) -> None:
        """Name the part of what is to lie at `target`; nothing is touched."""
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    def begin(self, source: str, validator: str | None, total: int | None) -> None:
        """Start anew, empty. Without a validator there is no note: it cannot be gone on with."""
        self.remove()
        if validator is not None:
            known = {"source": source, "validator": validator, "total": total}
            self.note.write_text(json.dumps(known), encoding="utf-8")
        self.path.touch()

    def begun(self, source: str) -> Begun | None:
        """Return what has come of that source; None where it has to start anew."""
        try:
            known = json.loads(self.note.read_text(encoding="utf-8"))
            size = self.path.stat().st_size
        except (OSError, ValueError):  # none, or killed while it was written
            return None
        if not isinstance(known, dict) or known.get("source") != source or size == 0:
            return None
        validator, total = known.get("validator"), known.get("total")
        if not isinstance(validator, str) or not isinstance(total, int | None):
            return None
        too_long = total is not None and size > total
        return None if too_long else Begun(size, validator, total)

    def remove(self) -> None:
        """Remove the part and what is known of it, as far as they are there."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
