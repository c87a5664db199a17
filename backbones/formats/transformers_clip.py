"""CLIP and SigLIP of Hugging Face transformers: the image tower, alone or beside that of text.

CLIP's configuration has either activation, which its weights do not tell and config.json beside
them, which is not read, does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from backbones.files import Checkpoint
from backbones.formats import qkv
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.towers import (
    CLIP_MEAN,
    CLIP_STD,
    HALF,
    beside_the_tower,
    clip_facts,
    heads_note,
    siglip_facts,
)

_PREFIX = "vision_model."
_PATCHES = "embeddings.patch_embedding.weight"
_PART = re.compile(r"^encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(\w+)$")
_WORDS = {"q": "query", "k": "key", "v": "value"}
_RENAMED = (
    (re.compile(r"^embeddings\.class_embedding$"), "cls_token"),
    (re.compile(r"^embeddings\.patch_embedding\."), "patch_embed.proj."),
    (re.compile(r"^embeddings\.position_embedding\.weight$"), "pos_embed"),
    (re.compile(r"^pre_layrnorm\."), "norm_pre."),
    (re.compile(r"^post_layernorm\."), "norm."),
    (re.compile(r"^encoder\.layers\.(\d+)\.self_attn\.out_proj\."), r"blocks.\1.attn.proj."),
    (re.compile(r"^encoder\.layers\.(\d+)\.layer_norm([12])\."), r"blocks.\1.norm\2."),
    (re.compile(r"^encoder\.layers\.(\d+)\.mlp\."), r"blocks.\1.mlp."),
    (re.compile(r"^head\.probe$"), "attn_pool.latent"),
    (re.compile(r"^head\.attention\.in_proj_"), "attn_pool.qkv."),
    (re.compile(r"^head\.attention\.out_proj\."), "attn_pool.proj."),
    (re.compile(r"^head\.layernorm\."), "attn_pool.norm."),
    (re.compile(r"^head\.mlp\."), "attn_pool.mlp."),
)


class TransformersClipFormat(Format):
    """See the module."""

    name = "transformers_clip"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = set(checkpoint.tensors)
        query = "encoder.layers.0.self_attn.q_proj.weight"
        for prefix in (_PREFIX, ""):
            rest = {name for name in names if not name.startswith(prefix)}
            if {prefix + _PATCHES, prefix + query} <= names and all(map(_needless, rest)):
                kind = "CLIP" if f"{prefix}embeddings.class_embedding" in names else "SigLIP"
                return f"{prefix}{_PATCHES} and self_attn.q_proj, as {kind} of transformers"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        prefix = _PREFIX if any(name.startswith(_PREFIX) for name in checkpoint.tensors) else ""
        renaming = Renaming()
        parts: dict[str, dict[str, str]] = {}
        for name, value in checkpoint.tensors.items():
            short = name.removeprefix(prefix)
            rule = _needless(name) if short == name else None
            part = _PART.match(short)
            if short == "embeddings.position_ids":
                renaming.drop(name, "index buffer")
            elif rule:
                renaming.drop(name, rule)
            elif part:
                joined = f"encoder.blocks.{part[1]}.attn.qkv.{part[3]}"
                parts.setdefault(joined, {})[_WORDS[part[2]]] = name
            else:
                renaming.take(name, *_renamed(short, value))
        qkv.join(parts, checkpoint.tensors, renaming)
        facts = _facts(renaming.tensors)
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            joined=renaming.joined,
            notes=heads_note(facts["arch"]),
            **facts,
        )


def _needless(name: str) -> str | None:
    if name == "visual_projection.weight":
        return "projection into the space shared with text"
    if name.startswith("classifier."):
        return "classifier of the mean of all tokens"
    return beside_the_tower(name)


def _renamed(name: str, value: Tensor) -> tuple[str, Tensor]:
    """Return name and value in the Backbone; under `encoder.` what is unknown."""
    for pattern, new in _RENAMED:
        short, found = pattern.subn(new, name)
        if found:
            tokens = short in ("cls_token", "pos_embed") and value.ndim in (1, 2)
            return f"encoder.{short}", value.reshape(1, -1, value.shape[-1]) if tokens else value
    return f"encoder.{name}", value


def _facts(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    patches = tensors.get("encoder.patch_embed.proj.weight")
    width = patches.shape[0] if patches is not None and patches.ndim else 0
    if "encoder.cls_token" in tensors:
        return {
            "arch": {**clip_facts(width), "act": None, "position_resize": None},
            "objective": "clip",
            "mean": CLIP_MEAN,
            "std": CLIP_STD,
            "colour_note": "mean and std of CLIP; preprocessor_config.json tells, give others by "
            "arch={'mean': [...], 'std': [...]}",
        }
    pooled = {} if "encoder.attn_pool.latent" in tensors else {"pool": "mean"}
    return {
        "arch": {**siglip_facts(width), **pooled},
        "objective": "siglip",
        "mean": HALF,
        "std": HALF,
        "colour_note": "mean and std 0.5, as SigLIP's data code has them",
    }
