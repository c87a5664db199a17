"""State dicts under timm's names for VisionTransformer, Beit and Eva, which fine-tuned SimMIM files
and the encoders that DINO and iBOT publish have too, and for ConvNeXt.

A norm before the blocks tells CLIP's towers, pooling by attention SigLIP's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats import timm_convnext
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.towers import CLIP_MEAN, CLIP_STD, HALF, clip_facts, siglip_facts

LATENT = "attn_pool.latent"
"""The query of SigLIP's pooling."""

_POOL = "attn_pool."
_BUFFERS = ("relative_position_index", "relative_coords_table", "attn_mask")


def is_index_buffer(name: str) -> bool:
    """Whether it is a function of image and window size that lies in a file all the same."""
    return name.rsplit(".", 1)[-1] in _BUFFERS


def in_backbone(name: str) -> str:
    """Return the name in our Backbone of a tensor that timm's models have under `name`."""
    if name.startswith("head_dist."):
        return name.replace("head_dist", "head.distilled", 1)
    return name if name.startswith(("head.", "fc_norm.")) else f"encoder.{name}"


class TimmFormat(Format):
    """See the module."""

    name = "timm"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        layers = [n for n in ("qkv", "q_proj") if f"blocks.0.attn.{n}.weight" in names]
        if "patch_embed.proj.weight" in names and layers:
            family = _FACTS[kind(checkpoint)](checkpoint)["family"]
            return f"patch_embed.proj and blocks.*.attn.{layers[0]}, timm's names for {family}"
        return timm_convnext.recognise(checkpoint)

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        if timm_convnext.recognise(checkpoint):
            return timm_convnext.parse(checkpoint)
        renaming = Renaming()
        names = checkpoint.tensors
        _check_pre_norm(checkpoint)
        for name, value in names.items():
            if is_index_buffer(name):
                renaming.drop(name, "index buffer")
            elif name not in (*_pool_layers("weight"), *_pool_layers("bias")):
                renaming.take(name, in_backbone(name), value)
        _join_pool(names, renaming)
        return Parsed(
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            joined=renaming.joined,
            **_FACTS[kind(checkpoint)](checkpoint),
        )


def _check_pre_norm(checkpoint: Checkpoint) -> None:
    """Refuse Perception Encoders: a CLIP's names, but rotary positions, which lie in no file.

    With the norm before the blocks go a CLIP's final norm and class token; theirs have pooling by
    attention (core) or no final norm (spatial).
    """
    names = checkpoint.tensors
    final = "norm.weight" in names or "fc_norm.weight" in names
    if "norm_pre.weight" in names and (LATENT in names or not final):
        what = LATENT if LATENT in names else "no final norm"
        raise LoadError(
            f"{checkpoint.path}: norm_pre with {what}, as Perception Encoders have it, whose "
            "rotary positions no file tells; put it into the folder of weights by timm's name and "
            "give timm:<name.tag>"
        )


def kind(checkpoint: Checkpoint) -> str:
    """Return which of the networks with these names it is: a key of `_FACTS`, or "convnext"."""
    names = checkpoint.tensors
    if timm_convnext.recognise(checkpoint):
        return "convnext"
    if _has_rotary_positions(names):
        return "eva02" if "pos_embed" in names else "dinov3"
    relative = any(name.endswith("relative_position_bias_table") for name in names)
    if relative or "blocks.0.attn.q_bias" in names or "blocks.0.gamma_1" in names:
        return "beit"
    if LATENT in names:
        return "siglip"
    return "clip" if "norm_pre.weight" in names else "vit"


def _pooled(checkpoint: Checkpoint) -> dict[str, Any]:
    """What holds of all but towers: what is pooled is seen by norm and class token."""
    names = checkpoint.tensors
    if "fc_norm.weight" in names:
        pool = "mean_fc_norm"
    else:
        pool = "class_token" if "cls_token" in names else "mean"
    return {
        "arch": {"pool": pool},
        "objective": "unknown",
        "notes": (f"pooled features: {pool}, by the file's fc_norm and class token",),
        "colour_note": "mean and std of ImageNet, since the file does not tell; others by "
        "arch={'mean': [...], 'std': [...]}",
    }


def _vit(checkpoint: Checkpoint) -> dict[str, Any]:
    facts = {"family": "vit"} | _pooled(checkpoint)
    if _is_of_timm(checkpoint):
        return facts
    if _is_like_dino(checkpoint):
        rule = "bicubic_offset"
        note = (
            "position table to other sizes by DINO's rule: its encoders and iBOT's are published "
            "like this file, without classifier; of others (timm's orig_in21k) give their own by "
            "arch={'position_resize': ...}"
        )
    else:
        rule, note = None, "nothing tells by whose rule the position table goes to another size"
    arch = {**facts["arch"], "position_resize": rule}
    return facts | {"arch": arch, "notes": (*facts["notes"], note)}


def _beit(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"family": "beit"} | _pooled(checkpoint)


def _dinov3(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"family": "eva"} | _pooled(checkpoint)


def _eva02(checkpoint: Checkpoint) -> dict[str, Any]:
    note = "mean and std of CLIP, as all published EVA-02s have them"
    colours = {"mean": CLIP_MEAN, "std": CLIP_STD, "colour_note": note}
    return {"family": "eva"} | _pooled(checkpoint) | colours


def _clip(checkpoint: Checkpoint) -> dict[str, Any]:
    resize = "bicubic_antialias" if _is_of_timm(checkpoint) else None
    return {
        "family": "vit",
        "arch": {**clip_facts(_width(checkpoint.tensors)), "act": None, "position_resize": resize},
        "objective": "clip",
        "mean": CLIP_MEAN,
        "std": CLIP_STD,
        "colour_note": "mean and std of CLIP; a few of LAION's have others, give them by "
        "arch={'mean': [...], 'std': [...]}",
        "notes": ("a CLIP's image tower, by its norm before the blocks",),
    }


def _siglip(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "family": "vit",
        "arch": siglip_facts(_width(checkpoint.tensors)),
        "objective": "siglip",
        "mean": HALF,
        "std": HALF,
        "colour_note": "mean and std 0.5, as SigLIP's data code has them",
        "notes": ("GELU by tanh, as SigLIP's authors have it; timm's networks have the exact one",),
    }


def _width(names: Mapping[str, Tensor]) -> int:
    patches = names["patch_embed.proj.weight"]
    return patches.shape[0] if patches.ndim else 0


def _join_pool(names: Mapping[str, Tensor], renaming: Renaming) -> None:
    """Join the query's layer to that of keys and values, in attention pooling."""
    for leaf in ("weight", "bias"):
        parts = {name: names[name] for name in _pool_layers(leaf) if name in names}
        kinds = {(part.dtype, part.ndim, part.shape[1:]) for part in parts.values()}
        if len(parts) == 2 and len(kinds) == 1 and all(part.ndim for part in parts.values()):
            renaming.join(parts, f"encoder.{_POOL}qkv.{leaf}")
        else:  # not a whole layer: refused under their own names
            for name, part in parts.items():
                renaming.take(name, f"encoder.{name}", part)


def _pool_layers(leaf: str) -> tuple[str, str]:
    return f"{_POOL}q.{leaf}", f"{_POOL}kv.{leaf}"


def _is_of_timm(checkpoint: Checkpoint) -> bool:
    """Whether timm's rule for position tables holds.

    Files of training codes lie under a key; those that timm distributes do not. Registers are
    resized by timm's rule in DINOv2 too.
    """
    names = checkpoint.tensors
    return "reg_token" in names or ("head.weight" in names and checkpoint.wrapper is None)


def _is_like_dino(checkpoint: Checkpoint) -> bool:
    """Whether it looks as DINO and iBOT publish encoders: one norm, a class token, no classifier;
    DINO's lie under no key, iBOT's under `state_dict`, with nothing beside."""
    names = checkpoint.tensors
    plain = {"norm.weight", "cls_token"} <= names.keys() and "head.weight" not in names
    return plain and checkpoint.wrapper in (None, "state_dict") and not checkpoint.beside


def _has_rotary_positions(names: Mapping[str, Tensor]) -> bool:
    """Whether it is EVA-02, by its gated layers, or DINOv3, by registers without any table.

    Rotary positions themselves are in none of timm's files.
    """
    if "pos_embed" not in names:
        return all(name in names for name in ("cls_token", "reg_token", "blocks.0.gamma_1"))
    packed = "blocks.0.attn.q_bias" in names and _is_gated(names)
    return packed or "blocks.0.mlp.fc1_g.weight" in names


def _is_gated(names: Mapping[str, Tensor]) -> bool:
    first, second = (names.get(f"blocks.0.mlp.{layer}.weight") for layer in ("fc1", "fc2"))
    if first is None or second is None or first.ndim != 2 or second.ndim != 2:
        return False
    return len(first) == 2 * second.shape[1]


_FACTS: dict[str, Callable[[Checkpoint], dict[str, Any]]] = {
    "vit": _vit,
    "clip": _clip,
    "siglip": _siglip,
    "beit": _beit,
    "eva02": _eva02,
    "dinov3": _dinov3,
}
"""Network -> what holds of its files."""
