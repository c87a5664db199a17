"""Plain vision transformers (Dosovitskiy et al., 2021), and MAE's masked input and decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, cast

import torch
from timm.layers.activations import QuickGELU
from timm.layers.attention import Attention
from timm.layers.mlp import Mlp, SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from backbones.contract import (
    AttentionMap,
    Backbone,
    BackboneSpec,
    Masked,
    WindowAttention,
    one_window,
)
from backbones.errors import LoadError
from backbones.families import initialise as init
from backbones.families import vit_windows
from backbones.families.arch import (
    ask,
    check_head,
    from_dict,
    heads,
    read_fields,
    shorten,
)
from backbones.families.attention_pool import AttentionPool
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.mae_decoder import POSITIONS as DECODER_POSITIONS
from backbones.families.mae_decoder import PUBLISHED, MaeDecoder, check_equally_hidden
from backbones.families.mask_token import MaskToken
from backbones.families.positions import grid_of, resize_absolute, sine_cosine
from backbones.families.tokens import TokenBackbone
from backbones.families.vit_arch import (
    POSITIONS,
    PREFIX_TOKENS,
    VitArch,
    checked,
    describe,
    in_windows,
)
from backbones.families.vit_initialise import FIXED_TABLES, fills
from backbones.families.vit_windows import WindowedAttention, divided
from backbones.families.windows import Windows

_ACTS: dict[str, Any] = {
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
    "quick_gelu": QuickGELU,
}


class VitFamily(Family):
    """See the module."""

    name = "vit"
    keys = frozenset(f.name for f in dataclasses.fields(VitArch))
    parts = frozenset({"head", "decoder"})
    fresh = frozenset({"fc_norm.weight", "fc_norm.bias"})

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        return describe(tensors, given)

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = read_fields(VitArch, {"image_size": input_size, **arch})
        if "num_heads" not in given and "embed_dim" in given:
            given["num_heads"] = heads(given["embed_dim"], given)[0]
        if "embed_dim" in given:
            given.setdefault("mlp_hidden", 4 * given["embed_dim"])
            if given.get("pool") == "attention":
                given.setdefault("pool_hidden", 4 * given["embed_dim"])
        if "decoder" in keep:
            given = {**PUBLISHED, **given}
        return dataclasses.asdict(checked({**in_windows(given), **given}))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        return shorten(arch, drop_last)

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        shape = from_dict(VitArch, arch)
        old, new = (grid_of(s, shape.patch_size) for s in (shape.image_size, input_size))
        if shape.window_size:
            return vit_windows.fit(tensors, shape, old, new)
        if old == new:
            return Fitted(dict(tensors))
        by = f"{old[0]}x{old[1]} to {new[0]}x{new[1]}"
        rule = shape.position_resize
        if rule is None:
            raise LoadError(
                f"the position table has to go from {by}, and the file does not tell by whose "
                "rule; give it: --set backbone.position_resize=bicubic_offset (DINO, iBOT, DINOv2 "
                "without registers), bicubic (DeiT, MAE, MoCo v3), bicubic_antialias (timm, "
                "open_clip) or bilinear_corners (SigLIP)"
            )
        prefixes = {POSITIONS: shape.position_rows, DECODER_POSITIONS: 1}
        tables = {name: rows for name, rows in prefixes.items() if name in tensors}
        resized = {
            name: resize_absolute(tensors[name], rows, old, new, rule)
            for name, rows in tables.items()
        }
        return Fitted({**tensors, **resized}, {f"position table {by}, {rule}": list(tables)})

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        arch = from_dict(VitArch, spec.arch)
        if "decoder" in keep and not (arch.mask_token or arch.decoder_num_heads):
            raise ask("decoder_num_heads", f"no published decoder is {arch.decoder_embed_dim} wide")
        if "decoder" in keep and arch.patch_padding:
            raise LoadError(
                f"patch_padding={arch.patch_padding}: patches lie beside the cells of a mask, so "
                "there is no masked input; leave keep='decoder' out, or give patch_padding=0"
            )
        if arch.window_size and keep:
            raise LoadError(
                f"window_size={arch.window_size}: with ViTDet's windows there is no {min(keep)}; "
                "leave keep out, or the windows"
            )
        check_head(arch.num_classes, keep)
        return VitBackbone(spec, arch, input_size, drop_path, keep)


class VitBackbone(TokenBackbone):
    """A plain ViT, with MAE's decoder where it was kept."""

    def __init__(
        self,
        spec: BackboneSpec,
        arch: VitArch,
        input_size: Size,
        drop_path: float,
        keep: Collection[str],
    ) -> None:
        grid = grid_of(input_size, arch.patch_size)
        # Without SiLU timm's model gives the gate the activation of ungated layers.
        act = nn.SiLU if arch.swiglu else _ACTS[arch.act]
        encoder = VisionTransformer(
            img_size=(grid[0] * arch.patch_size, grid[1] * arch.patch_size),
            patch_size=arch.patch_size,
            num_classes=0,
            global_pool="",
            embed_dim=arch.embed_dim,
            depth=arch.depth,
            num_heads=arch.num_heads,
            mlp_ratio=arch.mlp_hidden / arch.embed_dim,
            qkv_bias=arch.qkv_bias,
            init_values=arch.layer_scale,
            class_token=arch.class_token,
            no_embed_class=not arch.embed_class,
            reg_tokens=arch.reg_tokens,
            pre_norm=arch.pre_norm,
            final_norm=arch.final_norm,
            fc_norm=False,
            weight_init="skip",
            mlp_layer=cast(Any, SwiGLUPacked if arch.swiglu else Mlp),
            act_layer=act,
            norm_layer=partial(nn.LayerNorm, eps=arch.norm_eps),
            attn_layer=WindowedAttention if arch.window_size else Attention,
        )
        if arch.window_size:
            vit_windows.divide(encoder.blocks, arch, grid)
        if arch.dist_token:
            encoder.dist_token = nn.Parameter(torch.zeros(1, 1, arch.embed_dim))
        if arch.pool == "attention":
            pool: Any = AttentionPool(
                arch.embed_dim, arch.num_heads, arch.pool_hidden, _ACTS[arch.act], arch.norm_eps
            )
            encoder.attn_pool = pool
        # Of the rows before the patches timm's model knows some only.
        rows = arch.position_rows + grid[0] * grid[1]
        encoder.pos_embed = nn.Parameter(torch.zeros(1, rows, arch.embed_dim))
        super().__init__(
            spec,
            encoder,
            input_size,
            arch.patch_size,
            arch.prefix,
            arch.pool,
            drop_path,
            arch.patch_padding,
        )
        self.arch = arch
        if "decoder" in keep and arch.mask_token:
            self.decoder = MaskToken((1, arch.embed_dim))
        elif "decoder" in keep:
            self.decoder = MaeDecoder(
                arch.embed_dim,
                arch.decoder_embed_dim,
                arch.decoder_depth,
                arch.decoder_num_heads,
                arch.patch_size,
                grid[0] * grid[1],
                arch.norm_eps,
            )
            if arch.init == "mae":
                # Sine-cosine tables are fixed in pre-training (models_mae.py), not in fine-tuning.
                self.encoder.pos_embed.requires_grad_(False)
                self.decoder.pos_embed.requires_grad_(False)
        if "head" in keep:
            kind = DistilledHead if arch.dist_token else nn.Linear
            self.head = kind(arch.embed_dim, arch.num_classes)

    def tokens(self, patches: Tensor) -> Tensor:
        table = self.encoder.pos_embed
        rows = self.arch.position_rows
        prefix = self._prefix_tokens()
        if rows:
            prefix = torch.cat([prefix[:, :rows] + table[:, :rows], prefix[:, rows:]], dim=1)
        return self._joined(prefix, patches + table[:, rows:])

    def _prefix_tokens(self) -> Tensor:
        tokens = (getattr(self.encoder, name, None) for name in PREFIX_TOKENS)
        found = [token for token in tokens if token is not None]
        return torch.cat(found, dim=1) if found else self.encoder.pos_embed[:, :0]

    def _joined(self, prefix: Tensor, patches: Tensor) -> Tensor:
        joined: Tensor = self.encoder.norm_pre(
            torch.cat([prefix.expand(len(patches), -1, -1), patches], dim=1)
        )
        return joined

    def run(self, tokens: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
        for block in self.encoder.blocks:
            tokens = block(tokens)
            yield block, tokens

    def attention(self, images: Tensor) -> Iterator[AttentionMap]:
        """As the contract says; of a block with windows, over the whole map."""
        for found, windows in self._recorded(images):
            yield windows.over_the_map(divided(found, windows)) if windows else found

    def attention_in_windows(self, images: Tensor) -> Iterator[WindowAttention]:
        for found, windows in self._recorded(images):
            yield divided(found, windows) if windows else one_window(found)

    def _recorded(self, images: Tensor) -> Iterator[tuple[AttentionMap, Windows | None]]:
        """Return what each block has, and its windows."""
        windows = (getattr(block.attn, "windows", None) for block in self.encoder.blocks)
        return zip(super().attention(images), windows, strict=True)

    def logits(self, images: Tensor) -> Tensor:
        if not isinstance(self.head, DistilledHead):
            return super().logits(images)
        normed = self.encoder.norm(self.through(self.tokens(self.patches(images))))
        return self.head.mean(normed[:, 0], normed[:, 1])

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        """As the contract says; for MAE every image must have equally many patches hidden.

        Raises:
            ValueError: it has not.
        """
        if self.decoder is None:
            raise self.missing("decoder")
        hidden = self.checked_mask(images, mask)
        if isinstance(self.decoder, MaskToken):
            patches = self.decoder.hide(self.patches(images), hidden)
            features = self.as_map(self.encoder.norm(self.through(self.tokens(patches))))
            return Masked(features, self.decoder(features))
        check_equally_hidden(hidden)
        tokens = self.tokens(self.patches(images))
        places = tokens[:, self.prefix :]
        kept = places[~hidden].view(len(images), -1, places.shape[-1])
        tokens = torch.cat([tokens[:, : self.prefix], kept], dim=1)
        features = self.encoder.norm(self.through(tokens))
        height, width = self.input_size
        return Masked(features, self.decoder(features, hidden, self.grid)[:, :, :height, :width])

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        random = init.generator(seed)
        linear, convolution, special = fills(self, self.arch, random)
        if self.arch.init in FIXED_TABLES:
            special[POSITIONS] = init.table(self._sine_cosine(self.encoder.pos_embed))
        if isinstance(self.decoder, MaeDecoder):
            special[DECODER_POSITIONS] = init.table(self._sine_cosine(self.decoder.pos_embed))
        init.fill(self, linear, convolution, special, random)
        self.seal()

    def _sine_cosine(self, table: Tensor) -> Tensor:
        places = self.grid[0] * self.grid[1]
        return sine_cosine(table.shape[-1], self.grid, table.shape[1] - places)


class DistilledHead(nn.Linear):
    """DeiT's two classifiers: itself that of the class token, and that of the distillation token
    beside it (Touvron et al., 2021, section 4)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, classes)
        self.distilled = nn.Linear(width, classes)

    def mean(self, class_token: Tensor, dist_token: Tensor) -> Tensor:
        """Return the mean of what both say (B,classes) of their tokens (B,C)."""
        both: Tensor = self(class_token) + self.distilled(dist_token)
        return both / 2
