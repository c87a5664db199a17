"""Architectures by timm's names, without the network: the weights are a local file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers.activations import GELU, GELUTanh, QuickGELU
from timm.layers.attention import Attention
from timm.layers.mlp import GluMlp, SwiGLU
from timm.layers.norm import LayerNorm2d
from timm.layers.patch_embed import PatchEmbed
from timm.layers.pos_embed_sincos import RotaryEmbeddingCat, RotaryEmbeddingDinoV3
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva, EvaAttention, EvaBlock
from timm.models.hiera import Hiera
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from backbones.errors import LoadError
from backbones.families.timm_probe import facts, is_known, probe, shapes
from backbones.formats.timm_network import TimmNetworkFormat

_SUFFIXES = (".safetensors", ".pth", ".bin", ".pt")


def locate_timm(name: str, folders: Sequence[Path]) -> tuple[Path, dict[str, Any]]:
    """Return the local file for `timm:<name>.<tag>`, and what timm says of its architecture.

    Args:
        name: the whole name.
        folders: where the file is looked for, in this order.

    Raises:
        LoadError: timm has no such name, no family here serves it, or the file is missing.
    """
    short = name.removeprefix("timm:")
    if not is_known(short):
        near = difflib.get_close_matches(short, _similar(short), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise LoadError(f"timm has no model {short!r}{hint}")
    arch = architecture(short)
    for path in (folder / f"{short}{suffix}" for folder in folders for suffix in _SUFFIXES):
        if path.is_file():
            return path, arch
    raise LoadError(
        f"the weights of {name} are not in {' nor in '.join(map(str, folders))}; "
        f"put them there as {short}.safetensors"
    )


def _similar(short: str) -> list[str]:
    """Return the names with the same architecture and another tag, or else all."""
    model = short.partition(".")[0]
    named: list[str] = timm.list_models(pretrained=True)
    return [name for name in named if name.partition(".")[0] == model] or named


def architecture(short: str) -> dict[str, Any]:
    """Return what timm says of a model's architecture, as `arch` of `backbones.load` takes it.

    Args:
        short: timm's name, with or without a tag.

    Raises:
        LoadError: no family here serves it: not even as timm's own network, for a reason that is
            said.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model: Any = timm.create_model(short, pretrained=False, num_classes=0)
    read = _READERS.get(type(model))
    fields = read(model) if read else None
    cfg = model.pretrained_cfg
    if fields is None:  # timm's own network, which has to run
        known = facts(short)
        size = known.padded(known.image_size)
        probe(short, known.num_classes, size)
        if shapes(short, known.num_classes, size) != shapes(short, known.num_classes, None):
            height, width = known.image_size
            raise LoadError(
                f"timm:{short} has tables for {height}x{width} pixels, which its stride of "
                f"{known.unit} does not divide; no family here serves it"
            )
        return {"mean": cfg["mean"], "std": cfg["std"], "format": TimmNetworkFormat(short)}
    return {"mean": cfg["mean"], "std": cfg["std"], "format": "timm", **fields}


def _vit(model: Any) -> dict[str, Any] | None:
    if not _plain(model):
        return None
    mlp = model.blocks[0].mlp
    gated, act = _is_swiglu(mlp), _act(mlp)
    if not (gated or act):
        return None
    told: dict[str, Any] = {"act": act} if act and isinstance(model, VisionTransformer) else {}
    if _is_foreign(model):
        told["position_resize"] = None
    return {**_sizes(model), **({"swiglu": True} if gated else {}), **told}


def _is_foreign(model: Any) -> bool:
    """Whether it is a plain encoder of another project's, so published without classifier, whose
    rule for other sizes nothing tells; DINO's and DINOv2's are known."""
    if type(model) is not VisionTransformer:
        return False
    cfg: Any = model.pretrained_cfg
    tower = type(model.norm_pre) is not nn.Identity or model.attn_pool is not None
    of_dino = "dino" in f"{cfg.get('architecture')}.{cfg.get('tag')}"
    known = tower or model.reg_token is not None or of_dino
    return not known and cfg["num_classes"] == 0


def _eva(model: Any) -> dict[str, Any] | None:
    """EVA, EVA-02 and DINOv3; others of timm's class place or normalise their queries otherwise, or
    have no class token."""
    block, rope = model.blocks[0], model.rope
    attention: Any = block.attn
    gelu = _act(block.mlp) == "gelu"
    mlp = gelu or _is_swiglu(block.mlp) or type(block.mlp) is SwiGLU
    plain = type(block) is EvaBlock and type(attention) is EvaAttention and mlp
    absent = (attention.q_norm, model.norm_pre)
    if not plain or model.cls_token is None or any(type(m) is not nn.Identity for m in absent):
        return None
    if rope is None and gelu:
        return _sizes(model)  # the first EVA is a BEiT
    if type(rope) is RotaryEmbeddingDinoV3 and model.pos_embed is None:
        return {**_sizes(model), "rope": "dinov3"}
    if type(rope) is not RotaryEmbeddingCat or model.pos_embed is None:
        return None
    if rope.grid_offset or rope.grid_indexing != "ij" or rope.ref_feat_shape is None:
        return None
    return {**_sizes(model), "rope": "eva02", "rope_grid": tuple(rope.ref_feat_shape)}


def _hiera(model: Any) -> dict[str, Any] | None:
    if (model.mask_unit_size, model.q_stride) != ((8, 8), (2, 2)):
        return None
    height, width = (4 * cells for cells in model.tokens_spatial_shape)
    block = model.blocks[0]
    return {
        "image_size": (height, width),
        "num_heads": block.attn.heads,
        "norm_eps": block.norm1.eps,
        "format": "hiera",
    }


def _convnext(model: Any) -> dict[str, Any] | None:
    block = model.stages[0].blocks[0]
    patched = len(model.stem) == 2 and type(model.stem[1]) is LayerNorm2d
    if not patched or _act(block.mlp) != "gelu" or block.conv_dw.bias is None:
        return None
    return {
        "image_size": tuple(model.pretrained_cfg["input_size"][1:]),
        "norm_eps": model.stem[1].eps,
    }


def _swin(model: Any) -> dict[str, Any] | None:
    """Swin and SwinV2 of square images, in square windows that divide or shrink to their map."""
    stages = [stage.blocks[0] for stage in model.layers]
    first, patches = stages[0], model.patch_embed
    usual = (
        type(patches) is PatchEmbed
        and all(len(set(sides)) == 1 for sides in (patches.img_size, patches.patch_size))
        and type(first.norm1) is nn.LayerNorm
        and _act(first.mlp) == "gelu"
        and model.global_pool == "avg"
    )
    alike = len({block.mlp_ratio for block in stages}) == 1
    if not (usual and alike and all(map(_is_windowed, stages))):
        return None
    fields = {
        "image_size": tuple(patches.img_size),
        "num_heads": tuple(block.attn.num_heads for block in stages),
        "norm_eps": first.norm1.eps,
        "format": "timm_swin",
    }
    if isinstance(model, SwinTransformer):  # whose tables tell the windows
        return fields
    windows = [block.window_size[0] for block in stages]
    before = [block.attn.pretrained_window_size[0] for block in stages]
    used = tuple(old or now for old, now in zip(before, windows, strict=True))
    return {**fields, "trained_window": tuple(windows), "pretrained_window_size": used}


def _is_windowed(block: Any) -> bool:
    """Whether a stage's heads share its width, and its windows are as built here: where they do
    not divide a map, timm rolls it before it pads, the authors' detection code after."""
    if block.always_partition or block.attn.qkv.out_features != 3 * block.dim:
        return False
    before = getattr(block.attn, "pretrained_window_size", (0, 0))
    square = all(len(set(sides)) == 1 for sides in (block.window_size, before))
    return square and all(
        cells % side == 0
        for cells, side in zip(block.input_resolution, block.window_size, strict=True)
    )


def _sizes(model: Any) -> dict[str, Any]:
    block = model.blocks[0]
    return {
        "image_size": tuple(model.patch_embed.img_size),
        "num_heads": block.attn.num_heads,
        "norm_eps": block.norm1.eps,
    }


def _act(mlp: Any) -> str | None:
    """Return what `act` of a ViT's architecture is called here, if it is one of those."""
    act: Any = getattr(mlp, "act", None)
    if type(act) is GELU or (type(act) is nn.GELU and act.approximate == "none"):
        return "gelu"
    if type(act) is QuickGELU:
        return "quick_gelu"
    return "gelu_tanh" if type(act) is GELUTanh else None


def _is_swiglu(mlp: Any) -> bool:
    packed = type(mlp) is GluMlp and type(mlp.act) is nn.SiLU and type(mlp.norm) is nn.Identity
    return packed and not mlp.gate_last


def _plain(model: Any) -> bool:
    """Whether patches, blocks and their attention are those of the first ViT: hybrids, BEiT-3 and
    differential attention have timm's class too."""
    if not isinstance(model, VisionTransformer):
        return True
    block: Any = model.blocks[0]
    layers = (model.patch_embed, block, getattr(block, "attn", None))
    if tuple(map(type, layers)) != (PatchEmbed, Block, Attention):
        return False
    norms = (block.attn.norm, getattr(block.mlp, "norm", None))
    return all(norm is None or type(norm) is nn.Identity for norm in norms)


_READERS: dict[type, Callable[[Any], dict[str, Any] | None]] = {
    VisionTransformer: _vit,
    VisionTransformerDistilled: _vit,
    Beit: _vit,
    Eva: _eva,
    Hiera: _hiera,
    SwinTransformer: _swin,
    SwinTransformerV2: _swin,
    ConvNeXt: _convnext,
}
"""timm's class -> what its model tells, None if no family here builds it."""
