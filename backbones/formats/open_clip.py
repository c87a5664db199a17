"""Files of open_clip with a ViT of its own under `visual.`, or that tower alone.

LAION's and DataComp's networks have GELU, those of MetaCLIP and DFN QuickGELU, as do OpenAI's own
weights when they were saved again, all under these names: which one has to be asked for.
"""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats.clip import TOWER, parse_tower
from backbones.formats.contract import Format, Parsed

_NAMES = ("class_embedding", "conv1.weight", "transformer.resblocks.0.attn.in_proj_weight")


class OpenClipFormat(Format):
    """See the module."""

    name = "open_clip"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        for prefix in (TOWER, ""):
            if all(f"{prefix}{name}" in checkpoint.tensors for name in _NAMES):
                return f"{prefix}class_embedding and {prefix}{_NAMES[-1]}, as open_clip has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        return parse_tower(checkpoint, {"act": None, "position_resize": "bicubic_antialias"})
