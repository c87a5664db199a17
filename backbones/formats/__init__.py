"""The layouts of checkpoints: an explicit table, tried in this order and recognised by
content."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from backbones.errors import LoadError
from backbones.offers import offered, offers

if TYPE_CHECKING:
    from backbones.files import Checkpoint
    from backbones.formats.contract import Format

FORMATS = {
    "harness": "backbones.formats.harness:HarnessFormat",
    "simmim": "backbones.formats.simmim:SimmimFormat",
    "simmim_swin": "backbones.formats.simmim_swin:SimmimSwinFormat",
    "mim_depth": "backbones.formats.mim_depth:MimDepthFormat",
    "swin": "backbones.formats.swin:SwinFormat",
    "timm_swin": "backbones.formats.timm_swin:TimmSwinFormat",
    "hiera": "backbones.formats.hiera:HieraFormat",
    "eva02": "backbones.formats.eva02:Eva02Format",
    "dinov3": "backbones.formats.dinov3:Dinov3Format",
    "vitpose": "backbones.formats.vitpose:VitposeFormat",
    "mae": "backbones.formats.mae:MaeFormat",
    "moco_v3": "backbones.formats.moco_v3:MocoV3Format",
    "beit": "backbones.formats.beit:BeitFormat",
    "dino": "backbones.formats.dino:DinoFormat",
    "dino_student": "backbones.formats.dino:DinoStudentFormat",
    "ibot": "backbones.formats.ibot:IbotFormat",
    "ibot_student": "backbones.formats.ibot:IbotStudentFormat",
    "dinov2": "backbones.formats.dinov2:Dinov2Format",
    "clip": "backbones.formats.clip:ClipFormat",
    "open_clip": "backbones.formats.open_clip:OpenClipFormat",
    "siglip": "backbones.formats.siglip:SiglipFormat",
    "ijepa": "backbones.formats.ijepa:IjepaFormat",
    "ijepa_context": "backbones.formats.ijepa:IjepaContextFormat",
    "deit": "backbones.formats.deit:DeitFormat",
    "timm": "backbones.formats.timm:TimmFormat",
    "convnext": "backbones.formats.convnext:ConvNextFormat",
    "transformers": "backbones.formats.transformers:TransformersFormat",
    "transformers_clip": "backbones.formats.transformers_clip:TransformersClipFormat",
    "mmpose": "backbones.formats.mmpose:MmposeFormat",
    "openmmlab": "backbones.formats.openmmlab:OpenmmlabFormat",
    "openmmlab_swin": "backbones.formats.openmmlab_swin:OpenmmlabSwinFormat",
    "lightning": "backbones.formats.lightning:LightningFormat",
}

GROUP = "harness.formats"


def formats() -> dict[str, Format]:
    """Return every layout: the table, then what can be had of the entry points of the group
    harness.formats."""
    return _known()[0]


def recognise(checkpoint: Checkpoint, wanted: str | Format | None = None) -> tuple[Format, str]:
    """Return the layout of a checkpoint, and by what it was recognised.

    Args:
        checkpoint: the file.
        wanted: the layout that the catalogue or the user names, or that the encoder's own name
            implies; then nothing is guessed.

    Raises:
        LoadError: no layout fits, no such layout, or one that cannot be had.
    """
    from backbones.formats.contract import Format

    if isinstance(wanted, Format):
        return wanted, "by the encoder's name"
    known, broken = _known()
    if wanted is not None:
        if not isinstance(wanted, str) or wanted not in {*known, *broken}:
            raise LoadError(f"unknown format {wanted!r}; known: {', '.join(known)}")
        if wanted in broken:
            raise LoadError(broken[wanted])
        return known[wanted], "as named"
    for layout in known.values():
        reason = layout.recognise(checkpoint)
        if reason is not None:
            return layout, reason
    some = ", ".join(list(checkpoint.tensors)[:6])
    untried = "".join(f"; untried: {reason}" for reason in broken.values())
    raise LoadError(
        f"{checkpoint.path}: no known layout ({', '.join(known)}) has tensors like {some} ..."
        + untried
    )


def _known() -> tuple[dict[str, Format], dict[str, str]]:
    """Return every layout, and why those of other packages cannot be had that cannot.

    A name of the table keeps its layout; `RefusedOffer` warns of an offer under it.
    """
    found: dict[str, Format] = {}
    broken: dict[str, str] = {}
    for name, target in FORMATS.items():
        module, attribute = target.split(":")
        found[name] = getattr(import_module(module), attribute)()
    for offer in offers(GROUP):
        try:
            if offered(GROUP, offer.name, FORMATS):
                found[offer.name] = offer.get()()
        except LoadError as error:
            broken[offer.name] = str(error)
    return found, broken
