"""Checkpoints of Hugging Face transformers: ViT, BEiT, I-JEPA, DINOv2 with registers and without,
Swin and SwinV2.

Query, key and value are three layers there and one in timm's networks. What config.json says lies
beside the weights and is not read: the defaults of the library hold.
"""

from __future__ import annotations

import re
from typing import Any

from backbones.files import Checkpoint
from backbones.formats import mae, qkv, transformers_swin
from backbones.formats.contract import IMAGENET_MEAN, IMAGENET_STD, Format, Parsed, Renaming
from backbones.formats.timm import is_index_buffer

_PREFIX = re.compile(r"^(?:vit|beit|ijepa|dinov2|dinov2_with_registers)\.")
_HEADS = ("classifier.", "decoder.", "layernorm.", "lm_head.")
"""What the library's models for tasks have beside it."""

_TOKEN = "embeddings.cls_token"
_TABLE = "embeddings.position_embeddings"
_PATCH = "embeddings.patch_embeddings.projection"
_LAYER = "encoder.layer."
_QUERY = "encoder.layer.0.attention.attention.query.weight"
_PART = re.compile(r"^encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.(\w+)$")

# state_dict() of the library's version 5 has other names than what save_pretrained writes.
_IN_MEMORY = (
    (re.compile(r"^layers\.(?=\d)"), _LAYER),
    (re.compile(r"\.attention\.q_proj\."), ".attention.attention.query."),
    (re.compile(r"\.attention\.k_proj\."), ".attention.attention.key."),
    (re.compile(r"\.attention\.v_proj\."), ".attention.attention.value."),
    (re.compile(r"\.attention\.o_proj\."), ".attention.output.dense."),
    (re.compile(r"^shared_position_bias\."), "encoder.relative_position_bias."),
)
_RENAMED = (
    (re.compile(r"^embeddings\.(cls_token)$"), r"encoder.\1"),
    (re.compile(r"^embeddings\.mask_token$"), "decoder.mask_token"),
    (re.compile(r"^embeddings\.register_tokens$"), "encoder.reg_token"),
    (re.compile(r"^embeddings\.position_embeddings$"), "encoder.pos_embed"),
    (re.compile(r"^embeddings\.patch_embeddings\.projection\."), "encoder.patch_embed.proj."),
    (re.compile(r"^encoder\.relative_position_bias\."), "encoder.rel_pos_bias."),
    (re.compile(r"^layernorm\."), "encoder.norm."),
    (re.compile(r"^pooler\.layernorm\."), "fc_norm."),
    (re.compile(r"^classifier\."), "head."),
    (re.compile(r"^lm_head\."), "decoder.lm_head."),
)
_IN_BLOCK = (
    (re.compile(r"^attention\.output\.dense\."), "attn.proj."),
    (re.compile(r"^(?:attention\.attention\.)?relative_position_bias\."), "attn."),
    (re.compile(r"^(?:layernorm_before|norm1)\."), "norm1."),
    (re.compile(r"^(?:layernorm_after|norm2)\."), "norm2."),
    (re.compile(r"^(?:intermediate\.dense|mlp\.fc1|mlp\.weights_in)\."), "mlp.fc1."),
    (re.compile(r"^(?:output\.dense|mlp\.fc2|mlp\.weights_out)\."), "mlp.fc2."),
    (re.compile(r"^lambda_([12])$"), r"gamma_\1"),
    (re.compile(r"^layer_scale([12])\.lambda1$"), r"ls\1.gamma"),
)
_HALF = (0.5, 0.5, 0.5)


class TransformersFormat(Format):
    """See the module."""

    name = "transformers"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        prefixed = {name for name in checkpoint.tensors if _PREFIX.match(name)}
        rest = set(checkpoint.tensors) - prefixed
        if prefixed and not all(name.startswith(_HEADS) for name in rest):
            return None  # an encoder in a network of somebody else's
        names = {_bare(name) for name in checkpoint.tensors}
        if {_TABLE if _kind(names) == "ijepa" else _TOKEN, f"{_PATCH}.weight", _QUERY} <= names:
            return f"{_PATCH} and attention.query, as {_kind(names)} of transformers has them"
        return transformers_swin.recognise(checkpoint)

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        if transformers_swin.recognise(checkpoint):
            return transformers_swin.parse(checkpoint)
        bare = {name: _bare(name) for name in checkpoint.tensors}
        kind = _kind(set(bare.values()))
        renaming = Renaming()
        parts: dict[str, dict[str, str]] = {}
        for name, short in bare.items():
            part = _PART.match(short)
            if is_index_buffer(name):
                renaming.drop(name, "index buffer")
            elif rule := _needless(short, kind):
                renaming.drop(name, rule)
            elif part and not (kind == "beit" and part[3] == "bias"):
                joined = f"encoder.blocks.{part[1]}.attn.qkv.{part[3]}"
                parts.setdefault(joined, {})[part[2]] = name
            else:
                renaming.take(name, _renamed(short, kind), checkpoint.tensors[name])
        qkv.join(parts, checkpoint.tensors, renaming)
        facts = {"vit": _vit, "beit": _beit, "dinov2": _dinov2, "ijepa": _ijepa}[kind](
            set(bare.values())
        )
        table = renaming.tensors.get("encoder.pos_embed")
        if kind == "vit" and table is not None and mae.is_sine_cosine(table):
            facts = _mae()
        return Parsed(
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            joined=renaming.joined,
            **facts,
        )


def _bare(name: str) -> str:
    """Return the name that the encoder alone has in a file of save_pretrained."""
    name = _PREFIX.sub("", name)
    for pattern, older in _IN_MEMORY:
        name = pattern.sub(older, name)
    return name


def _kind(names: set[str]) -> str:
    if f"{_LAYER}0.layer_scale1.lambda1" in names:
        return "dinov2"
    relative = any(name.endswith("relative_position_bias_table") for name in names)
    if relative or f"{_LAYER}0.lambda_1" in names:
        return "beit"
    return "vit" if _TOKEN in names else "ijepa"


def _needless(name: str, kind: str) -> str | None:
    """Return the rule by which a tensor is left out, if one does."""
    if name.startswith("pooler.dense."):
        return "pooler of transformers"
    if kind == "dinov2" and name.startswith("classifier."):
        return "classifier of the class token and the mean together"
    if kind == "ijepa" and name == "embeddings.mask_token":
        return "mask token of transformers"
    if kind == "vit" and (name == "embeddings.mask_token" or name.startswith("decoder.0.")):
        return "mask token and decoder of transformers"
    return None


def _renamed(name: str, kind: str) -> str:
    """Return the name in the Backbone; under `encoder.` what is unknown."""
    block = re.match(r"^encoder\.layer\.(\d+)\.(.+)$", name)
    if part := _PART.match(name):
        # BEiT's keys have no bias, and timm keeps those of queries and values apart.
        return f"encoder.blocks.{part[1]}.attn.{part[2][0]}_bias"
    for pattern, new in _IN_BLOCK if block else _RENAMED:
        short, found = pattern.subn(new, block[2] if block else name)
        if found:
            return f"encoder.blocks.{block[1]}.{short}" if block else short
    return f"encoder.{name}"


def _vit(_: set[str]) -> dict[str, Any]:
    return {
        "family": "vit",
        "arch": {"pool": "class_token", "position_resize": None, "norm_eps": 1e-12},
        "objective": "unknown",
        "mean": _HALF,
        "std": _HALF,
        "colour_note": "mean and std 0.5, the default of transformers; preprocessor_config.json "
        "tells, give others by arch={'mean': [...], 'std': [...]}",
        "notes": (
            _EPS,
            "nothing tells by whose rule the position table goes to another size",
        ),
    }


def _mae() -> dict[str, Any]:
    return {
        "family": "vit",
        "arch": {**mae.ARCH, "norm_eps": 1e-12},
        "objective": "mae",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "colour_note": "mean and std of ImageNet, as MAE's data code has them",
        "notes": (_EPS, "MAE, by its fixed table of sines and cosines"),
    }


def _beit(names: set[str]) -> dict[str, Any]:
    # The norm stands before the mean or after it; the pre-training head has its own.
    last = "layernorm.weight" in names and "lm_head.weight" not in names
    return {
        "family": "beit",
        "arch": {"pool": "class_token" if last else "mean_fc_norm", "norm_eps": 1e-12},
        "objective": "supervised" if "classifier.weight" in names else "beit",
        "mean": _HALF,
        "std": _HALF,
        "colour_note": "mean and std 0.5, as BEiT's preprocessor_config.json has them",
        "notes": (_EPS,),
    }


def _ijepa(_: set[str]) -> dict[str, Any]:
    return {
        "family": "vit",
        "arch": {
            "pool": "mean",
            "position_resize": None,
            "init": "ijepa",
        },
        "objective": "ijepa",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "colour_note": "mean and std of ImageNet, as I-JEPA's data code has them",
    }


def _dinov2(names: set[str]) -> dict[str, Any]:
    registers = "embeddings.register_tokens" in names
    return {
        "family": "vit",
        "arch": {
            "pool": "class_token",
            "position_resize": "bicubic_antialias" if registers else "bicubic_offset",
            "embed_registers": False,
            "swiglu": f"{_LAYER}0.mlp.weights_in.weight" in names,
        },
        "objective": "dinov2",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "colour_note": "mean and std of ImageNet, as DINOv2's data code has them",
    }


_EPS = "layer norm epsilon 1e-12, the default of transformers; the authors' own code has 1e-6"
