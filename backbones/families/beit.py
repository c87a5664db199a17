"""BEiT-style vision transformers with tables of relative positions; SimMIM's ViT is one.

Architecture: Bao et al., 2022 (BEiT); masked input, decoder and initialisation: Xie et al., 2022
(SimMIM), sections 3.1 to 3.4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from timm.models.beit import Beit
from torch import Tensor, nn

from backbones.contract import Backbone, BackboneSpec, Masked
from backbones.errors import LoadError
from backbones.families import initialise as init
from backbones.families.arch import (
    FC1,
    HEAD,
    PATCH,
    TABLE,
    check_head,
    check_heads,
    depth_of,
    from_dict,
    heads,
    need,
    norm_note,
    perhaps,
    rows_of,
    shorten,
    square_side,
)
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.positions import grid_of, resize_absolute, resize_relative
from backbones.families.tokens import NORM_EPS, TokenBackbone

POSITIONS = "encoder.pos_embed"
SHARED = "encoder.rel_pos_bias.relative_position_bias_table"
OWN = "encoder.blocks.{}.attn.relative_position_bias_table"
BIAS = "relative_position_bias_table"


@dataclass(frozen=True)
class BeitArch:
    """A BEiT-style ViT. Defaults are those of SimMIM's ViT.

    Attributes:
        image_size: (height, width) of the training images in pixels.
        patch_size: side of a patch in pixels.
        embed_dim, depth, num_heads, mlp_hidden: as usual; mlp_hidden in units, not as a ratio.
        shared_table: one table of relative positions for all blocks (pre-training).
        block_tables: one for each block (fine-tuning). Asked for where the file has a shared one
            only, each block gets a copy, as SimMIM's fine-tuning code does.
        position_table: an absolute one.
        layer_scale: initial value of gamma, None without.
        pool: "mean_fc_norm" or "class_token".
        num_classes: outputs of the file's classifier, 0 without.
        decoder_stride: pixels a cell of SimMIM's decoder, 0 without.
    """

    image_size: Size
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_hidden: int
    qkv_bias: bool = True
    shared_table: bool = True
    block_tables: bool = False
    position_table: bool = False
    layer_scale: float | None = 0.1
    final_norm: bool = True
    norm_eps: float = NORM_EPS
    pool: str = "mean_fc_norm"
    num_classes: int = 0
    decoder_stride: int = 0


class BeitFamily(Family):
    """See the module."""

    name = "beit"
    keys = frozenset(f.name for f in dataclasses.fields(BeitArch))
    parts = frozenset({"head", "decoder"})
    fresh = frozenset({"fc_norm.weight", "fc_norm.bias"})

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        patch = need(tensors, "encoder.patch_embed.proj.weight", PATCH)
        width = int(patch.shape[0])
        depth = depth_of(tensors, "encoder.blocks")
        tables = _tables(tensors)
        # The tables have a column for each head.
        number, notes = (int(tables[0].shape[1]), ()) if tables else heads(width, given)
        found: dict[str, Any] = {
            "patch_size": int(patch.shape[-1]),
            "embed_dim": width,
            "depth": depth,
            "num_heads": number,
            "mlp_hidden": int(need(tensors, "encoder.blocks.0.mlp.fc1.weight", FC1).shape[0]),
            "qkv_bias": "encoder.blocks.0.attn.q_bias" in tensors,
            "shared_table": SHARED in tensors,
            "block_tables": OWN.format(0) in tensors,
            "position_table": POSITIONS in tensors,
            "layer_scale": 0.1 if "encoder.blocks.0.gamma_1" in tensors else None,
            "final_norm": "encoder.norm.weight" in tensors,
            "num_classes": rows_of(tensors, "head.weight", HEAD),
            "decoder_stride": _stride(tensors),
        }
        perhaps(tensors, POSITIONS, TABLE)
        if "image_size" not in given:
            found["image_size"] = _image_size(tensors, tables, int(patch.shape[-1]))
        arch = {**found, **given}
        if given.get("block_tables") and SHARED in tensors and OWN.format(0) not in tensors:
            arch["shared_table"] = False
        return Described(dataclasses.asdict(_checked(arch)), notes + norm_note(given, NORM_EPS))

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = {"image_size": input_size, **arch}
        if "num_heads" not in given and "embed_dim" in given:
            given["num_heads"] = heads(given["embed_dim"], given)[0]
        if "embed_dim" in given:
            given.setdefault("mlp_hidden", 4 * given["embed_dim"])
        if "decoder" in keep:
            given.setdefault("decoder_stride", given.get("patch_size", 0))
        return dataclasses.asdict(_checked(given))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        return shorten(arch, drop_last)

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        shape = from_dict(BeitArch, arch)
        old, new = (grid_of(s, shape.patch_size) for s in (shape.image_size, input_size))
        values, converted = dict(tensors), {}
        tables = [n for n in tensors if n.endswith(BIAS)]
        rules = []
        if old != new:
            by = f"{old[0]}x{old[1]} to {new[0]}x{new[1]}"
            rules.append(f"{by} by geometric spline")
            for name in tables:
                values[name] = resize_relative(tensors[name], old, new)
            if POSITIONS in tensors:
                values[POSITIONS] = resize_absolute(tensors[POSITIONS], 1, old, new, False)
                converted[f"position table {by}, bicubic"] = [POSITIONS]
        if shape.block_tables and not shape.shared_table and SHARED in tensors:
            rules.append("one for all copied to each block")
            shared = values.pop(SHARED)
            values |= {OWN.format(i): shared.clone() for i in range(shape.depth)}
        if rules and tables:
            converted[f"bias table {', '.join(rules)}"] = tables
        return Fitted(values, converted)

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        arch = from_dict(BeitArch, spec.arch)
        if "decoder" in keep and not arch.decoder_stride:
            raise LoadError("the file has a mask token but no decoder to keep")
        check_head(arch.num_classes, keep)
        return BeitBackbone(spec, arch, input_size, drop_path, keep)


class BeitBackbone(TokenBackbone):
    """A BEiT-style ViT, with SimMIM's masked input and decoder where they were kept."""

    def __init__(
        self,
        spec: BackboneSpec,
        arch: BeitArch,
        input_size: Size,
        drop_path: float,
        keep: Collection[str],
    ) -> None:
        grid = grid_of(input_size, arch.patch_size)
        encoder = Beit(
            img_size=(grid[0] * arch.patch_size, grid[1] * arch.patch_size),
            patch_size=arch.patch_size,
            num_classes=0,
            embed_dim=arch.embed_dim,
            depth=arch.depth,
            num_heads=arch.num_heads,
            mlp_ratio=arch.mlp_hidden / arch.embed_dim,
            qkv_bias=arch.qkv_bias,
            init_values=arch.layer_scale,
            use_abs_pos_emb=arch.position_table,
            use_rel_pos_bias=arch.block_tables,
            use_shared_rel_pos_bias=arch.shared_table,
            use_fc_norm=not arch.final_norm,
            norm_layer=cast(Any, partial(nn.LayerNorm, eps=arch.norm_eps)),
        )
        encoder.fc_norm = nn.Identity()
        super().__init__(spec, encoder, input_size, arch.patch_size, 1, arch.pool, drop_path)
        self.arch = arch
        if "decoder" in keep:
            self.decoder = PixelDecoder(arch.embed_dim, arch.decoder_stride)
        if "head" in keep:
            self.head = nn.Linear(arch.embed_dim, arch.num_classes)

    def tokens(self, patches: Tensor) -> Tensor:
        tokens = torch.cat([self.encoder.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return tokens if self.encoder.pos_embed is None else tokens + self.encoder.pos_embed

    def run(self, tokens: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
        shared = self.encoder.rel_pos_bias() if self.arch.shared_table else None
        for block in self.encoder.blocks:
            tokens = block(tokens, shared_rel_pos_bias=shared)
            yield block, tokens

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        if self.decoder is None:
            raise self.missing("decoder")
        hidden = self.checked_mask(images, mask).unsqueeze(-1)
        patches = self.patches(images)
        token = self.decoder.mask_token.to(patches.dtype)
        tokens = self.through(self.tokens(torch.where(hidden, token, patches)))
        features = self.as_map(self.encoder.norm(tokens))
        height, width = self.input_size
        return Masked(features, self.decoder(features)[:, :, :height, :width])

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        random = init.generator(seed)
        # Truncated at one standard deviation, as BEiT and SimMIM do.
        weights = init.trunc_normal(random, 0.02, bound=0.02)
        special = {
            name: init.constant(self.arch.layer_scale or 0.0)
            if leaf.startswith("gamma")
            else init.constant(0.0)
            if leaf in ("q_bias", "v_bias", "relative_position_bias_table")
            else weights
            for name, leaf in ((n, n.rsplit(".", 1)[-1]) for n, _ in self.named_parameters())
            if leaf.startswith("gamma") or leaf in _OWN_LEAVES
        }
        if self.decoder is not None:
            default = init.torch_uniform(random, self.arch.embed_dim)
            special |= {"decoder.conv.weight": default, "decoder.conv.bias": default}
        init.fill(self, weights, weights, special, random)
        for i, block in enumerate(self.encoder.blocks):
            block.attn.proj.weight.div_((2 * (i + 1)) ** 0.5)
            block.mlp.fc2.weight.div_((2 * (i + 1)) ** 0.5)
        self.seal()


_OWN_LEAVES = ("q_bias", "v_bias", "relative_position_bias_table", "cls_token", "mask_token",
               "pos_embed")  # fmt: skip


class PixelDecoder(nn.Module):
    """SimMIM's mask token and decoder: a 1x1 convolution to the pixels of each cell."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.conv = nn.Conv2d(width, 3 * stride**2, kernel_size=1)
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """Return (B,3,h*stride,w*stride) for a map (B,C,h,w)."""
        return nn.functional.pixel_shuffle(self.conv(features), self.stride)


def _checked(arch: Arch) -> BeitArch:
    built = from_dict(BeitArch, arch)
    check_heads(built.embed_dim, built.num_heads)
    if built.pool not in ("mean_fc_norm", "class_token"):
        raise LoadError(f"pool: expected mean_fc_norm or class_token, got {built.pool!r}")
    if built.decoder_stride not in (0, built.patch_size):
        raise LoadError(
            f"the decoder gives {built.decoder_stride} pixels a cell, "
            f"the patch has {built.patch_size}"
        )
    return built


def _stride(tensors: Tensors) -> int:
    axes = ("3 x stride x stride", "width", "1", "1")
    outputs = rows_of(tensors, "decoder.conv.weight", axes)
    return square_side(outputs // 3, "the decoder's cell") if outputs else 0


def _tables(tensors: Tensors) -> list[Tensor]:
    """Return the shared table and the first block's, where they are there; check all."""
    for name in tensors:
        if name.endswith(BIAS):
            need(tensors, name, ("offsets", "heads"))
    return [tensors[name] for name in (SHARED, OWN.format(0)) if name in tensors]


def _image_size(tensors: Tensors, tables: list[Tensor], patch: int) -> Size:
    if tables:
        side = (square_side(len(tables[0]) - 3, "the relative position table") + 1) // 2
    elif rows := rows_of(tensors, POSITIONS, TABLE, 1):
        side = square_side(rows - 1, "the position table")
    else:
        raise LoadError("the file has no position table; give arch={'image_size': [height, width]}")
    return side * patch, side * patch
