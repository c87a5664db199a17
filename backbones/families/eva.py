"""Vision transformers with rotary positions: EVA-02 (Fang et al., 2023) and DINOv3's (Simeoni et
al., 2025).

Other sizes: EVA-02's position table is resized by bicubic interpolation without antialiasing, and
its rotary positions are those of the pre-training grid, spread over the new one (rope.py and
run_class_finetuning.py of baaivision/EVA). DINOv3 has rotary positions alone, whose axes go from -1
to 1 on every grid.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, cast

import torch
from timm.models.eva import Eva
from torch import Tensor, nn
from torch.nn import functional

from backbones.contract import Backbone, BackboneSpec, Masked
from backbones.families import initialise as init
from backbones.families.arch import check_head, heads, read_fields, shorten
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.eva_arch import (
    DINOV3,
    DINOV3_HEADS,
    EVA02,
    POSITIONS,
    EvaArch,
    checked,
    describe,
)
from backbones.families.mask_token import MaskToken
from backbones.families.positions import grid_of, resize_absolute
from backbones.families.tokens import TokenBackbone

_RESCALED = ("mlp.fc1.weight", "mlp.fc1_g.weight", "mlp.fc1_x.weight", "mlp.fc2.weight",
             "attn.proj.weight", "attn.v_proj.weight")  # fmt: skip


class EvaFamily(Family):
    """See the module."""

    name = "eva"
    keys = frozenset(f.name for f in dataclasses.fields(EvaArch))
    parts = frozenset({"head", "decoder"})
    fresh = frozenset({"fc_norm.weight", "fc_norm.bias"})

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        return describe(tensors, given)

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = read_fields(EvaArch, {"image_size": input_size, **arch})
        if given.get("rope") == DINOV3:
            given = _DINOV3_DEFAULTS | given
        width = given.get("embed_dim", 0)
        if width and "num_heads" not in given:
            own = DINOV3_HEADS.get(width) if given.get("rope") == DINOV3 else None
            given["num_heads"] = own or heads(width, given)[0]
        if width:
            ratio = 4.0 if given.get("mlp") == "gelu" else 8 / 3
            given.setdefault("mlp_hidden", int(width * ratio))
        if "patch_size" in given:
            given.setdefault("rope_grid", grid_of(given["image_size"], given["patch_size"]))
        return dataclasses.asdict(checked(given))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        return shorten(arch, drop_last)

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        shape = checked(arch)
        old, new = (grid_of(s, shape.patch_size) for s in (shape.image_size, input_size))
        if old == new or POSITIONS not in tensors:
            return Fitted(dict(tensors))
        table = resize_absolute(tensors[POSITIONS], 1 + shape.reg_tokens, old, new, "bicubic")
        rule = f"position table {old[0]}x{old[1]} to {new[0]}x{new[1]}, bicubic"
        return Fitted({**tensors, POSITIONS: table}, {rule: [POSITIONS]})

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        arch = checked(spec.arch)
        check_head(arch.num_classes, keep)
        return EvaBackbone(spec, arch, input_size, drop_path, keep)


_DINOV3_DEFAULTS: dict[str, Any] = {
    "mlp": "gelu",
    "mlp_norm": False,
    "qkv_apart": False,
    "qkv_bias": "masked",
    "position_table": False,
    "reg_tokens": 4,
    "layer_scale": 1e-5,
    "norm_eps": 1e-5,
    "pool": "class_token",
}


class EvaBackbone(TokenBackbone):
    """A ViT with rotary positions, with its mask token and EVA-02's pre-training head where kept.

    `masked` gives, as EVA-02's reconstruction, the features (B,target_dim,h,w) of its teacher that
    the head predicts; DINOv3's has none.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        arch: EvaArch,
        input_size: Size,
        drop_path: float,
        keep: Collection[str],
    ) -> None:
        encoder = _encoder(arch, grid_of(input_size, arch.patch_size))
        super().__init__(
            spec, encoder, input_size, arch.patch_size, 1 + arch.reg_tokens, arch.pool, drop_path
        )
        self.arch = arch
        if "decoder" in keep:
            shape = (1, arch.embed_dim) if arch.rope == DINOV3 else (1, 1, arch.embed_dim)
            self.decoder = MaskToken(shape, arch.target_dim)
        if "head" in keep:
            self.head = nn.Linear(arch.embed_dim, arch.num_classes)

    def tokens(self, patches: Tensor) -> Tensor:
        prefix = [self.encoder.cls_token]
        if self.encoder.reg_token is not None:
            prefix.append(self.encoder.reg_token)
        joined = torch.cat([*(t.expand(len(patches), -1, -1) for t in prefix), patches], dim=1)
        table: Tensor | None = self.encoder.pos_embed
        return joined if table is None else joined + table

    def run(self, tokens: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
        # DINOv3's periods come with the file: timm's cache is of those before.
        rope = self.encoder.rope
        turns = rope.get_embed(self.grid) if self.arch.rope == DINOV3 else rope.get_embed()
        for block in self.encoder.blocks:
            tokens = block(tokens, rope=turns)
            yield block, tokens

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        if self.decoder is None:
            raise self.missing("decoder")
        hidden = self.checked_mask(images, mask)
        patches = self.decoder.hide(self.patches(images), hidden)
        features = self.as_map(self.encoder.norm(self.through(self.tokens(patches))))
        return Masked(features, self.decoder(features))

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw every parameter anew, as modeling_pretrain.py of EVA-02 (its base and large ones
        rescale layers around norms) or vision_transformer.py of DINOv3 do."""
        random = init.generator(seed)
        first = self.arch.rope == EVA02
        token = init.trunc_normal(random, 0.02, bound=0.02) if first else init.normal(random, 0.02)
        special: dict[str, init.Fill] = {
            "encoder.cls_token": token,
            "encoder.reg_token": token,
            POSITIONS: token,
            "decoder.mask_token": token if first else init.constant(0.0),
        }
        if first:
            special["encoder.patch_embed.proj.weight"] = init.xavier(random)
        scale = init.constant(self.arch.layer_scale or 0.0)
        for name, _ in self.named_parameters():
            if name.endswith((".gamma_1", ".gamma_2")):
                special[name] = scale
            elif name.endswith(("q_bias", "v_bias")):
                special[name] = init.constant(0.0)
        linear = init.xavier_normal(random) if first else init.normal(random, 0.02)
        init.fill(self, linear, None, special, random)
        if first and self.arch.mlp_norm:
            factor = math.log(2 * self.arch.depth) ** 0.5
            for name, parameter in self.encoder.blocks.named_parameters():
                if name.endswith(_RESCALED):
                    parameter.mul_(factor)
        self.seal()


def _encoder(arch: EvaArch, grid: tuple[int, int]) -> Eva:
    encoder = Eva(
        img_size=(grid[0] * arch.patch_size, grid[1] * arch.patch_size),
        patch_size=arch.patch_size,
        num_classes=0,
        global_pool="",
        embed_dim=arch.embed_dim,
        depth=arch.depth,
        num_heads=arch.num_heads,
        qkv_bias=arch.qkv_bias == "query_value",
        qkv_fused=not arch.qkv_apart,
        # Half a unit more, so that rounding gives the whole number.
        mlp_ratio=(arch.mlp_hidden + 0.5) / arch.embed_dim,
        swiglu_mlp=arch.mlp != "gelu",
        swiglu_align_to=1 if arch.mlp == "swiglu_apart" else 0,
        scale_mlp=arch.mlp_norm,
        scale_attn_inner=arch.attn_norm,
        norm_layer=cast(Any, partial(nn.LayerNorm, eps=arch.norm_eps)),
        init_values=arch.layer_scale,
        num_reg_tokens=arch.reg_tokens,
        use_abs_pos_emb=arch.position_table,
        use_rot_pos_emb=True,
        rope_type="cat" if arch.rope == EVA02 else "dinov3",
        rope_temperature=10000.0 if arch.rope == EVA02 else 100.0,
        rope_rotate_half=arch.rope == DINOV3,
        ref_feat_shape=arch.rope_grid,
        use_post_transformer_norm=arch.final_norm,
        use_fc_norm=False,
    )
    if arch.rope == DINOV3:
        rope: Any = encoder.rope
        rope.register_buffer("periods", rope.periods, persistent=True)
    if arch.qkv_bias in ("all", "masked"):
        kind = KeyMaskedLinear if arch.qkv_bias == "masked" else nn.Linear
        for block in encoder.blocks:
            cast(Any, block).attn.qkv = kind(arch.embed_dim, 3 * arch.embed_dim)
    return encoder


class KeyMaskedLinear(nn.Linear):
    """DINOv3's layer of query, key and value: a mask takes the key's bias out (attention.py)."""

    bias_mask: Tensor

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__(width, outputs)
        mask = torch.ones(3, outputs // 3)
        mask[1] = 0
        self.register_buffer("bias_mask", mask.flatten())

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.weight, self.bias * self.bias_mask)
