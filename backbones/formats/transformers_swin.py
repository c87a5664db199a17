"""Swin and SwinV2 of Hugging Face transformers, as save_pretrained and state_dict() name them."""

from __future__ import annotations

import re

from backbones.files import Checkpoint
from backbones.formats import qkv, stages
from backbones.formats.contract import Parsed, Renaming
from backbones.formats.simmim import DECODER
from backbones.formats.timm import is_index_buffer

_PREFIX = re.compile(r"^swin(?:v2)?\.")
_HEADS = ("classifier.", "decoder.0.")
_PATCH = "embeddings.patch_embeddings.projection.weight"
_QUERIES = re.compile(r"^encoder\.layers\.0\.blocks\.0\.attention\.(?:self\.query|q_proj)\.weight$")

_BLOCK = re.compile(r"^encoder\.(layers\.\d+\.blocks\.\d+)\.(.+)$")
_PART = re.compile(r"^attention\.(?:self\.)?(?:(query|key|value)|([qkv])_proj)\.(\w+)$")
_IN_BLOCK = (
    (re.compile(r"^attention\.(?:output\.dense|o_proj)\."), "attn.proj."),
    (re.compile(r"^attention\.self\.continuous_position_bias_mlp\."), "attn.cpb_mlp."),
    (re.compile(r"^attention\.(?:self|relative_position_bias)\."), "attn."),
    (re.compile(r"^layernorm_before\."), "norm1."),
    (re.compile(r"^layernorm_after\."), "norm2."),
    (re.compile(r"^(?:intermediate\.dense|mlp\.fc1)\."), "mlp.fc1."),
    (re.compile(r"^(?:output\.dense|mlp\.fc2)\."), "mlp.fc2."),
)
_RENAMED = (
    (re.compile(r"^embeddings\.patch_embeddings\.projection\."), "patch_embed.proj."),
    (re.compile(r"^embeddings\.norm\."), "patch_embed.norm."),
    (re.compile(r"^encoder\.(layers\.\d+\.downsample\.)"), r"\1"),
    (re.compile(r"^layernorm\."), "norm."),
)
_MASK_TOKEN = "embeddings.mask_token"


def recognise(checkpoint: Checkpoint) -> str | None:
    """Return by what the content shows these names, or None."""
    names = checkpoint.tensors
    prefixed = any(_PREFIX.match(name) for name in names)
    if prefixed and not all(_PREFIX.match(name) or name.startswith(_HEADS) for name in names):
        return None  # an encoder in a network of somebody else's
    bare = {_PREFIX.sub("", name) for name in names}
    if _PATCH in bare and any(map(_QUERIES.match, bare)):
        kind = "SwinV2" if _is_second(bare) else "Swin"
        return f"{_PATCH} and layers.*.blocks.*.attention, as {kind} of transformers has them"
    return None


def parse(checkpoint: Checkpoint) -> Parsed:
    """Rename the tensors; see Format.parse."""
    bare = {name: _PREFIX.sub("", name) for name in checkpoint.tensors}
    second = _is_second(set(bare.values()))
    renaming = Renaming()
    parts: dict[str, dict[str, str]] = {}
    for name, short in bare.items():
        block = _BLOCK.match(short)
        part = _PART.match(block[2]) if block else None
        if is_index_buffer(name):
            renaming.drop(name, "index buffer")
        elif block and part and not (second and part[3] == "bias"):
            which = part[1] or {"q": "query", "k": "key", "v": "value"}[part[2]]
            parts.setdefault(f"encoder.{block[1]}.attn.qkv.{part[3]}", {})[which] = name
        else:
            renaming.take(name, _renamed(short), checkpoint.tensors[name])
    qkv.join(parts, checkpoint.tensors, renaming)
    supervised = "classifier.weight" in checkpoint.tensors
    masked = "decoder.mask_token" in renaming.tensors
    theirs = {_own(short): checkpoint.tensors[name] for name, short in bare.items()}
    arch = stages.told_by_buffers(theirs)
    return Parsed(
        family="swinv2" if second else "swin",
        tensors=renaming.tensors,
        origin=renaming.origin,
        dropped=renaming.dropped,
        joined=renaming.joined,
        arch={**arch, "window_rule": "proportional"} if masked else arch,
        objective="supervised" if supervised else "simmim" if masked else "unknown",
        colour_note="mean and std of ImageNet, as preprocessor_config.json of the published has",
    )


def _is_second(names: set[str]) -> bool:
    return any(name.endswith(".attention.self.logit_scale") for name in names)


def _own(name: str) -> str:
    """Return the name without the library's words, merging still at the end of its stage."""
    if block := _BLOCK.match(name):
        part = _PART.match(block[2])
        # Only SwinV2's biases come here: keys have none, and those of the others are apart.
        inner = f"attn.{(part[1] or part[2])[0]}_bias" if part else block[2]
        for pattern, new in _IN_BLOCK:
            inner, found = pattern.subn(new, inner)
            if found:
                break
        return f"{block[1]}.{inner}"
    for pattern, new in _RENAMED:
        name, found = pattern.subn(new, name)
        if found:
            break
    return name


def _renamed(name: str) -> str:
    """Return the name in the Backbone; under `encoder.` what is unknown."""
    if name == _MASK_TOKEN:
        return "decoder.mask_token"
    if name in DECODER:
        return DECODER[name]
    if name.startswith("classifier."):
        return name.replace("classifier", "head", 1)
    return f"encoder.{stages.ours(_own(name))}"
