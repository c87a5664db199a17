"""timm's names for one of its networks that no other family here serves.

Only its name tells which: such a file is read as `timm:<name>.<tag>`, never recognised.
"""

from __future__ import annotations

from backbones.families.timm_probe import facts
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming


class TimmNetworkFormat(Format):
    """See the module.

    Args:
        model: timm's name of the network.
    """

    name = "timm_network"

    def __init__(self, model: str) -> None:
        self.model = model

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        known = facts(self.model)
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            if name in known.computed:
                renaming.drop(name, "buffer that is computed")
            else:
                renaming.take(name, known.in_backbone(name), value)
        return Parsed(
            family="timm_network",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"model": self.model},
            objective="unknown",
            mean=known.mean,
            std=known.std,
        )
