"""The families of architectures: an explicit table, each imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from backbones.errors import LoadError
from backbones.offers import offered, offers

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
    "timm_network": "backbones.families.timm_network:TimmFamily",
}

GROUP = "harness.backbones"
"""Entry points that offer a family, or an encoder by its name (`backbones.outside`)."""


def family(name: str) -> Family:
    """Return a family by name: from the table, or an entry point of the group harness.backbones.

    Raises:
        LoadError: no such family, or one that cannot be imported.
    """
    if name in FAMILIES:
        module, attribute = FAMILIES[name].split(":")
        built: Family = getattr(import_module(module), attribute)()
        return built
    offer = offered(GROUP, name, taken=())
    kind: Any = offer.get() if offer else None
    if is_family(kind):
        found: Family = kind()
        return found
    raise LoadError(f"unknown family {name!r}; known: {', '.join(names())}")


def names() -> list[str]:
    """Return the names of all families, and of what else is offered under their group."""
    return [*FAMILIES, *(offer.name for offer in offers(GROUP))]


def is_family(found: Any) -> bool:
    """Tell whether what an entry point offers is a family."""
    from backbones.families.contract import Family

    return isinstance(found, type) and issubclass(found, Family)
