"""Files of facebookresearch/ijepa: a context encoder, a target encoder and a predictor.

The target encoder, the running mean of the other, is what the authors evaluate, by the mean of its
normed tokens (Assran et al., 2023, appendix A); timm and transformers publish the context encoder.
The authors' code cannot run at another size than that of its table: its rule takes the first row
for that of a class token, which these networks have none of.
"""

from __future__ import annotations

import re

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.mae import is_sine_cosine

_NAME = re.compile(r"(?:(target_encoder|encoder|predictor)\.)?(?:module\.)?(.+)")
_HEADS = {1408: 16, 1664: 16}
"""Of the widths that no other plain ViT has (src/models/vision_transformer.py)."""

_PATCHES = "patch_embed.proj.weight"


class IjepaFormat(Format):
    """See the module."""

    name = "ijepa"
    network = "target_encoder"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        if self.network != "target_encoder":
            return None
        found = {match[1] for name in names if (match := _NAME.fullmatch(name)) and match[1]}
        for whole in (f"{self.network}.", f"{self.network}.module."):
            if len(found) > 1 and f"{whole}blocks.0.attn.qkv.weight" in names:
                return f"{' and '.join(sorted(found))}, as I-JEPA's training files have them"
        plain = (
            not {"cls_token", "head.weight"} & set(names) and "blocks.0.attn.qkv.weight" in names
        )
        if plain and "pos_embed" in names and is_sine_cosine(names["pos_embed"], prefix=0):
            return "no class token, no head, and a fixed sine-cosine position table, as I-JEPA has"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            match = _NAME.fullmatch(name)
            whose, inner = (match[1], match[2]) if match else (None, name)
            if whose == "predictor":
                renaming.drop(name, "predictor")
            elif whose not in (self.network, None):
                renaming.drop(name, f"{whose}, not asked for")
            else:
                renaming.take(name, f"encoder.{inner}", value)
        if not renaming.tensors:
            raise LoadError(f"{checkpoint.path} has no {self.network}")
        patches = renaming.tensors.get(f"encoder.{_PATCHES}")
        heads = _HEADS.get(patches.shape[0]) if patches is not None and patches.ndim else None
        told = checkpoint.wrapper or ""
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={
                "pool": "mean",
                "position_resize": None,
                "init": "ijepa",
                **({"num_heads": heads} if heads else {}),
            },
            objective="ijepa",
            colour_note="mean and std of ImageNet, as I-JEPA's data code has them",
            notes=(f"the {self.network} of {told}",) if " and " in told else (),
        )


class IjepaContextFormat(IjepaFormat):
    """The context encoder of a training file, which has to be asked for by this name."""

    name = "ijepa_context"
    network = "encoder"
