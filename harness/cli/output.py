"""Keeps stdout for what was asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any, TextIO


@contextmanager
def reserved_stdout() -> Iterator[TextIO]:
    """Give the body the real stdout; whatever else is written there goes to stderr meanwhile.

    Works on the file descriptor, so that C libraries and child processes are caught too.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as stream:
            yield stream
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def plain(thing: Any) -> Any:
    """A record, recipe or other model as what JSON knows."""
    if hasattr(thing, "model_dump"):
        return thing.model_dump(mode="json")
    if is_dataclass(thing) and not isinstance(thing, type):
        return asdict(thing)
    return thing


def as_json(thing: Any) -> str:
    """One JSON object over several lines."""
    return json.dumps(plain(thing), indent=2, ensure_ascii=False, default=str)


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows as text, each column as wide as its longest entry."""
    table = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
