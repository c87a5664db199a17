"""BEiT-style vision transformers with tables of relative positions; SimMIM's ViT is one.

Architecture: Bao et al., 2022 (BEiT); masked input, decoder and initialisation: Xie et al., 2022
(SimMIM), sections 3.1 to 3.4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, cast

import torch
from timm.models.beit import Beit
from torch import Tensor, nn
from torch.nn import functional

from backbones.contract import Backbone, BackboneSpec, Masked
from backbones.errors import LoadError
from backbones.families import initialise as init
from backbones.families.arch import ask, check_head, from_dict, heads, read_fields, shorten
from backbones.families.beit_arch import BIAS, OWN, POSITIONS, SHARED, BeitArch, checked, describe
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.mae_decoder import POSITIONS as DECODER_POSITIONS
from backbones.families.mae_decoder import MaeDecoder, check_equally_hidden
from backbones.families.mask_token import MaskToken
from backbones.families.pixel_decoder import PixelDecoder
from backbones.families.positions import (
    grid_of,
    resize_absolute,
    resize_relative,
    sine_cosine,
)
from backbones.families.tokens import TokenBackbone


class BeitFamily(Family):
    """See the module."""

    name = "beit"
    keys = frozenset(f.name for f in dataclasses.fields(BeitArch))
    parts = frozenset({"head", "decoder"})
    fresh = frozenset({"fc_norm.weight", "fc_norm.bias"})
    foreign = dict.fromkeys(
        ("window_size", "global_blocks", "rel_pos"),
        "ViTDet's windows are for ViTs with a position table alone; this one, as SimMIM's and "
        "BEiT's, has relative positions over the whole map: leave windows out",
    )

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        return describe(tensors, given)

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = read_fields(BeitArch, {"image_size": input_size, **arch})
        if "num_heads" not in given and "embed_dim" in given:
            given["num_heads"] = heads(given["embed_dim"], given)[0]
        if "embed_dim" in given:
            given.setdefault("mlp_hidden", 4 * given["embed_dim"])
        if "decoder" in keep and not given.get("decoder_embed_dim"):
            given.setdefault("decoder_stride", given.get("patch_size", 0))
        return dataclasses.asdict(checked(given))

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
            absolute = [name for name in (POSITIONS, DECODER_POSITIONS) if name in tensors]
            for name in absolute:
                values[name] = resize_absolute(tensors[name], 1, old, new, "bicubic")
            if absolute:
                converted[f"position table {by}, bicubic"] = absolute
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
        if "decoder" in keep and arch.decoder_embed_dim:
            _check_mae(arch)
        elif "decoder" in keep and not (arch.decoder_stride or arch.vocabulary):
            raise LoadError("the file has a mask token but no decoder to keep")
        check_head(arch.num_classes, keep)
        return BeitBackbone(spec, arch, input_size, drop_path, keep)


class BeitBackbone(TokenBackbone):
    """A BEiT-style ViT, with masked input and SimMIM's decoder or BEiT's head where kept."""

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
            self.decoder = _decoder(arch, grid)
        if "head" in keep:
            self.head = nn.Linear(arch.embed_dim, arch.num_classes)

    def tokens(self, patches: Tensor) -> Tensor:
        tokens = torch.cat([self.encoder.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return tokens if self.encoder.pos_embed is None else tokens + self.encoder.pos_embed

    def run(self, tokens: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
        return self._run(tokens, self.encoder.rel_pos_bias() if self.arch.shared_table else None)

    def _run(self, tokens: Tensor, shared: Tensor | None) -> Iterator[tuple[nn.Module, Tensor]]:
        for block in self.encoder.blocks:
            tokens = block(tokens, shared_rel_pos_bias=shared)
            yield block, tokens

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        """As the contract says; for MAE every image must have equally many patches hidden.

        Raises:
            ValueError: it has not.
        """
        if self.decoder is None:
            raise self.missing("decoder")
        hidden = self.checked_mask(images, mask)
        if isinstance(self.decoder, MaeDecoder):
            return self._masked_autoencoder(images, hidden)
        patches = self.patches(images)
        token = self.decoder.mask_token.to(patches.dtype)
        tokens = self.through(self.tokens(torch.where(hidden.unsqueeze(-1), token, patches)))
        features = self.as_map(self.encoder.norm(tokens))
        height, width = self.input_size
        return Masked(features, self.decoder(features)[:, :, :height, :width])

    def _masked_autoencoder(self, images: Tensor, hidden: Tensor) -> Masked:
        check_equally_hidden(hidden)
        tokens = self.tokens(self.patches(images))
        seen = functional.pad(~hidden, (1, 0), value=True)
        places = seen.nonzero()[:, 1].view(len(images), -1)
        tokens = tokens[seen].view(*places.shape, -1)
        shared = None
        if self.arch.shared_table:
            # Of the table, each image has the rows that belong to the pairs of its kept tokens.
            table = self.encoder.rel_pos_bias()
            shared = table[:, places[:, :, None], places[:, None, :]].transpose(0, 1)
        for _, after in self._run(tokens, shared):
            tokens = after
        features = self.encoder.norm(tokens)
        height, width = self.input_size
        return Masked(features, self.decoder(features, hidden, self.grid)[:, :, :height, :width])

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
        if isinstance(self.decoder, PixelDecoder):
            default = init.torch_uniform(random, self.arch.embed_dim)
            special |= {"decoder.conv.weight": default, "decoder.conv.bias": default}
        if isinstance(self.decoder, MaeDecoder):
            table = sine_cosine(self.decoder.pos_embed.shape[-1], self.grid, 1)
            special[DECODER_POSITIONS] = init.table(table)
        init.fill(self, weights, weights, special, random)
        for i, block in enumerate(self.encoder.blocks):
            block.attn.proj.weight.div_((2 * (i + 1)) ** 0.5)
            block.mlp.fc2.weight.div_((2 * (i + 1)) ** 0.5)
        self.seal()


def _check_mae(arch: BeitArch) -> None:
    if not arch.decoder_num_heads:
        raise ask("decoder_num_heads", f"no published decoder is {arch.decoder_embed_dim} wide")
    if arch.block_tables:
        raise LoadError(
            "with block_tables each block has positions of its own, which MAE's masked input does "
            "not serve; load it without the decoder, or without block_tables"
        )


def _decoder(arch: BeitArch, grid: Size) -> nn.Module:
    """What fills in: of MAE, BEiT or SimMIM."""
    width = arch.embed_dim
    if arch.decoder_embed_dim:
        decoder = MaeDecoder(
            width,
            arch.decoder_embed_dim,
            arch.decoder_depth,
            arch.decoder_num_heads,
            arch.patch_size,
            grid[0] * grid[1],
            arch.norm_eps,
        )
        # The sine-cosine table is fixed in pre-training (models_mae.py).
        decoder.pos_embed.requires_grad_(False)
        return decoder
    if arch.vocabulary:
        return MaskToken((1, 1, width), arch.vocabulary)
    return PixelDecoder(width, width, arch.decoder_stride)


_OWN_LEAVES = ("q_bias", "v_bias", "relative_position_bias_table", "cls_token", "mask_token",
               "pos_embed")  # fmt: skip
