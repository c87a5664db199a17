"""Records, the shared table, statistics and the leaderboard. Knows nothing of tasks or encoders."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from results.files import ResultsError, write_bytes, write_text

if TYPE_CHECKING:
    from results.record import Measured, Record, read, write
    from results.table import SyncReport, Table

_LAZY = {
    "Measured": "record",
    "Record": "record",
    "read": "record",
    "write": "record",
    "SyncReport": "table",
    "Table": "table",
}

__all__ = [
    "Measured",
    "Record",
    "ResultsError",
    "SyncReport",
    "Table",
    "read",
    "write",
    "write_bytes",
    "write_text",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'results' has no attribute {name!r}")
    return getattr(import_module(f"results.{_LAZY[name]}"), name)
