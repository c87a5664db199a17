"""The families of architectures: an explicit table, each imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from backbones.errors import LoadError

if TYPE_CHECKING:
    from backbones.families.contract import Family

FAMILIES = {
    "vit": "backbones.families.vit:VitFamily",
    "beit": "backbones.families.beit:BeitFamily",
    "eva": "backbones.families.eva:EvaFamily",
    "swin": "backbones.families.swin:SwinFamily",
    "swinv2": "backbones.families.swinv2:SwinV2Family",
    "hiera": "backbones.families.hiera:HieraFamily",
    "convnext": "backbones.families.convnext:ConvNextFamily",
}

GROUP = "harness.backbones"


def family(name: str) -> Family:
    """Return a family by name: from the table, or an entry point of the group harness.backbones.

    Raises:
        LoadError: no such family.
    """
    if name in FAMILIES:
        module, attribute = FAMILIES[name].split(":")
        built: Family = getattr(import_module(module), attribute)()
        return built
    for point in entry_points(group=GROUP, name=name):
        found: Family = point.load()()
        return found
    raise LoadError(f"unknown family {name!r}; known: {', '.join(names())}")


def names() -> list[str]:
    """Return the names of all families."""
    return [*FAMILIES, *(point.name for point in entry_points(group=GROUP))]
