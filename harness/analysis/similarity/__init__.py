"""How alike layers are: of one encoder, of two, and of one on full against masked images.

Importing this package imports no torch: what needs it is fetched when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.analysis.similarity.measuring import between, measure

__all__ = ["between", "measure"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("harness.analysis.similarity.measuring"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
