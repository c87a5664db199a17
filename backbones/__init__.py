"""Any encoder behind one interface.

Importing this package imports no torch: the functions that need it fetch it when they are called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from backbones.entries import Entry, Pair, catalogue, named, objectives, pairs, resolve
from backbones.errors import LoadError

if TYPE_CHECKING:
    from backbones.checking import Checked, check
    from backbones.contract import (
        AttentionMap,
        Backbone,
        BackboneSpec,
        FeatureInfo,
        Masked,
        WindowAttention,
    )
    from backbones.filling import fill
    from backbones.keys import KeyReport
    from backbones.layer_rules import RULES, decays
    from backbones.loading import create, load
    from backbones.resizing import Resized, at_size
    from backbones.saving import save

_LAZY = {
    "AttentionMap": "contract",
    "Backbone": "contract",
    "BackboneSpec": "contract",
    "Checked": "checking",
    "FeatureInfo": "contract",
    "KeyReport": "keys",
    "Masked": "contract",
    "RULES": "layer_rules",
    "Resized": "resizing",
    "WindowAttention": "contract",
    "at_size": "resizing",
    "check": "checking",
    "create": "loading",
    "decays": "layer_rules",
    "fill": "filling",
    "load": "loading",
    "save": "saving",
}

__all__ = [
    "RULES",
    "AttentionMap",
    "Backbone",
    "BackboneSpec",
    "Checked",
    "Entry",
    "FeatureInfo",
    "KeyReport",
    "LoadError",
    "Masked",
    "Pair",
    "Resized",
    "WindowAttention",
    "at_size",
    "catalogue",
    "check",
    "create",
    "decays",
    "fill",
    "load",
    "named",
    "objectives",
    "pairs",
    "resolve",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'backbones' has no attribute {name!r}")
    value = getattr(import_module(f"backbones.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
