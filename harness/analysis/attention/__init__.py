"""Where encoders look: distance, spread, diversity and direction of every head.

Importing this package imports no torch: `measure` is fetched when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.analysis.attention.measuring import measure

CONVENTIONS = ("rule", "clmim", "vitan", "lite", "monitor")
"""What `convention` of `measure` knows, the default first: `conventions` says what each is."""

__all__ = ["CONVENTIONS", "measure"]


def __getattr__(name: str) -> Any:
    if name == "measure":
        return import_module("harness.analysis.attention.measuring").measure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
