"""Plain vision transformers (Dosovitskiy et al., 2021), and MAE's masked input and decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from backbones.contract import Backbone, BackboneSpec, Masked
from backbones.errors import LoadError
from backbones.families import initialise as init
from backbones.families.arch import (
    check_heads,
    depth_of,
    from_dict,
    heads,
    need,
    shorten,
    square_side,
)
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.mae_decoder import MaeDecoder
from backbones.families.positions import grid_of, resize_absolute, sine_cosine
from backbones.families.tokens import NORM_EPS, TokenBackbone

POSITIONS = "encoder.pos_embed"
DECODER_POSITIONS = "decoder.pos_embed"


@dataclass(frozen=True)
class VitArch:
    """A plain ViT.

    Attributes:
        image_size: (height, width) of the training images in pixels.
        patch_size: side of a patch in pixels.
        embed_dim, depth, num_heads, mlp_hidden: as usual; mlp_hidden in units, not as a ratio.
        class_token, reg_tokens: the tokens before the patches.
        embed_class: whether the position table has rows for them.
        layer_scale: initial value of gamma, None without.
        pre_norm: a norm before the blocks.
        final_norm: one after them.
        pool: "mean_fc_norm", "class_token" or "mean"; see TokenBackbone.
        position_resize: "bicubic" (MAE) or "bicubic_antialias" (timm).
        init: "normal" (timm: deviation 0.02; its truncation, at 100 deviations, never bites) or
            "mae".
        num_classes: outputs of the file's classifier, 0 without.
        decoder_embed_dim, decoder_depth, decoder_num_heads: MAE's decoder, 0 without.
    """

    image_size: Size
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_hidden: int
    qkv_bias: bool = True
    class_token: bool = True
    reg_tokens: int = 0
    embed_class: bool = True
    layer_scale: float | None = None
    pre_norm: bool = False
    final_norm: bool = True
    norm_eps: float = NORM_EPS
    pool: str = "class_token"
    position_resize: str = "bicubic_antialias"
    init: str = "normal"
    num_classes: int = 0
    decoder_embed_dim: int = 0
    decoder_depth: int = 0
    decoder_num_heads: int = 0

    @property
    def prefix(self) -> int:
        """Number of tokens before the patches."""
        return int(self.class_token) + self.reg_tokens


CHOICES = {
    "pool": ("mean_fc_norm", "class_token", "mean"),
    "position_resize": ("bicubic", "bicubic_antialias"),
    "init": ("normal", "mae"),
}

MAE_DECODER = {"decoder_embed_dim": 512, "decoder_depth": 8, "decoder_num_heads": 16}
"""The published one (He et al., 2022, table 1; models_mae.py)."""


class VitFamily(Family):
    """See the module."""

    name = "vit"
    keys = frozenset(f.name for f in dataclasses.fields(VitArch))
    parts = frozenset({"head", "decoder"})
    fresh = frozenset({"fc_norm.weight", "fc_norm.bias"})

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        patch = need(tensors, "encoder.patch_embed.proj.weight")
        width = int(patch.shape[0])
        number, note = heads(width, given)
        notes = [
            note,
            f"layer norm epsilon {given.get('norm_eps', NORM_EPS):g} by the family's rule",
        ]
        found: dict[str, Any] = {
            "patch_size": int(patch.shape[-1]),
            "embed_dim": width,
            "depth": depth_of(tensors, "encoder.blocks"),
            "num_heads": number,
            "mlp_hidden": int(need(tensors, "encoder.blocks.0.mlp.fc1.weight").shape[0]),
            "qkv_bias": "encoder.blocks.0.attn.qkv.bias" in tensors,
            "class_token": "encoder.cls_token" in tensors,
            "reg_tokens": tensors["encoder.reg_token"].shape[1]
            if "encoder.reg_token" in tensors
            else 0,
            "layer_scale": 1e-5 if "encoder.blocks.0.ls1.gamma" in tensors else None,
            "pre_norm": "encoder.norm_pre.weight" in tensors,
            "final_norm": "encoder.norm.weight" in tensors,
            "num_classes": len(tensors["head.weight"]) if "head.weight" in tensors else 0,
        }
        found |= _positions(found, len(need(tensors, POSITIONS)[0]), given)
        if "decoder.embed.weight" in tensors:
            decoder, decoder_notes = _decoder(tensors, given)
            found |= decoder
            notes += decoder_notes
        return Described(dataclasses.asdict(_checked({**found, **given})), tuple(notes))

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = {"image_size": input_size, **arch}
        if "num_heads" not in given and "embed_dim" in given:
            given["num_heads"] = heads(given["embed_dim"], given)[0]
        if "embed_dim" in given:
            given.setdefault("mlp_hidden", 4 * given["embed_dim"])
        if "decoder" in keep:
            given = {**MAE_DECODER, **given}
        return dataclasses.asdict(_checked(given))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        return shorten(arch, drop_last)

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        shape = from_dict(VitArch, arch)
        old, new = (grid_of(s, shape.patch_size) for s in (shape.image_size, input_size))
        if old == new:
            return Fitted(dict(tensors))
        prefix = shape.prefix if shape.embed_class else 0
        prefixes = {POSITIONS: prefix, DECODER_POSITIONS: 1}
        tables = {name: rows for name, rows in prefixes.items() if name in tensors}
        antialias = shape.position_resize == "bicubic_antialias"
        resized = {
            name: resize_absolute(tensors[name], rows, old, new, antialias)
            for name, rows in tables.items()
        }
        rule = f"position table {old[0]}x{old[1]} to {new[0]}x{new[1]}, {shape.position_resize}"
        return Fitted({**tensors, **resized}, {rule: list(tables)})

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        return VitBackbone(spec, from_dict(VitArch, spec.arch), input_size, drop_path, keep)


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
        encoder = VisionTransformer(
            img_size=tuple(n * arch.patch_size for n in grid),
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
            norm_layer=partial(nn.LayerNorm, eps=arch.norm_eps),
        )
        super().__init__(
            spec, encoder, input_size, arch.patch_size, arch.prefix, arch.pool, drop_path
        )
        self.arch = arch
        if "decoder" in keep:
            self.decoder = MaeDecoder(
                arch.embed_dim,
                arch.decoder_embed_dim,
                arch.decoder_depth,
                arch.decoder_num_heads,
                arch.patch_size,
                grid[0] * grid[1],
                arch.norm_eps,
            )
        if "head" in keep:
            self.head = nn.Linear(arch.embed_dim, arch.num_classes)

    def tokens(self, patches: Tensor) -> Tensor:
        table = self.encoder.pos_embed
        rows = self.prefix if self.arch.embed_class else 0
        prefix = self._prefix_tokens()
        if rows:
            prefix = prefix + table[:, :rows]
        return self._joined(prefix, patches + table[:, rows:])

    def _prefix_tokens(self) -> Tensor:
        found = [t for t in (self.encoder.cls_token, self.encoder.reg_token) if t is not None]
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

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        """As the contract says; every image must have equally many patches hidden.

        Raises:
            ValueError: it has not.
        """
        if self.decoder is None:
            raise self.missing("decoder")
        hidden = self.checked_mask(images, mask)
        counts = hidden.sum(dim=1)
        if (counts != counts[0]).any() or counts[0] == hidden.shape[1]:
            raise ValueError(
                "expected equally many hidden patches in each image, and some that are not; got "
                f"{counts.tolist()} of {hidden.shape[1]}"
            )
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
        mae = self.arch.init == "mae"
        weights = init.xavier(random) if mae else init.normal(random, 0.02)
        token = init.normal(random, 0.02 if mae else 1e-6)
        special: dict[str, init.Fill] = {
            "encoder.cls_token": token,
            "encoder.reg_token": token,
            "decoder.mask_token": init.normal(random, 0.02),
            POSITIONS: init.table(self._sine_cosine(self.encoder.pos_embed))
            if mae
            else init.normal(random, 0.02),
            "encoder.patch_embed.proj.weight": init.xavier(random)
            if mae
            else init.torch_uniform(random, 3 * self.patch**2),
        }
        if self.decoder is not None:
            special[DECODER_POSITIONS] = init.table(self._sine_cosine(self.decoder.pos_embed))
        scale = init.constant(self.arch.layer_scale or 0.0)
        special |= {n: scale for n, _ in self.named_parameters() if n.endswith(".gamma")}
        init.fill(self, weights, None, special, random)
        self.seal()

    def _sine_cosine(self, table: Tensor) -> Tensor:
        places = self.grid[0] * self.grid[1]
        return sine_cosine(table.shape[-1], self.grid, table.shape[1] - places)


def _checked(arch: Arch) -> VitArch:
    built = from_dict(VitArch, arch)
    check_heads(built.embed_dim, built.num_heads)
    if built.decoder_embed_dim:
        check_heads(built.decoder_embed_dim, built.decoder_num_heads, "decoder_num_heads")
    for name, known in CHOICES.items():
        if getattr(built, name) not in known:
            raise LoadError(f"{name}: expected {' or '.join(known)}, got {getattr(built, name)!r}")
    if built.init == "mae" and built.embed_dim % 4:
        raise LoadError(f"MAE's position table needs a width divisible by 4, got {built.embed_dim}")
    return built


def _decoder(tensors: Tensors, given: Arch) -> tuple[dict[str, int], list[str]]:
    width = len(tensors["decoder.embed.weight"])
    shape = {"decoder_embed_dim": width, "decoder_depth": depth_of(tensors, "decoder.blocks")}
    key = "decoder_num_heads"
    if key in given:
        return {**shape, key: given[key]}, [f"{key}={given[key]} as given"]
    if width == MAE_DECODER["decoder_embed_dim"]:
        number = MAE_DECODER[key]
        return {**shape, key: number}, [
            f"{key}={number} as in the published decoder (width {width})"
        ]
    # Needed only if the decoder is kept: 0 stands for unknown, and loading asks then.
    return {**shape, key: 0}, []


def _positions(found: Arch, rows: int, given: Arch) -> dict[str, Any]:
    """Read the training size, and whether prefix tokens have positions, off the table's length."""
    facts = {**found, **given}
    prefix = int(facts["class_token"]) + facts["reg_tokens"]
    patch: int = facts["patch_size"]
    if "image_size" in given:
        grid = grid_of(from_dict(_Sized, {"image_size": given["image_size"]}).image_size, patch)
        return {"embed_class": rows != grid[0] * grid[1]}
    fits = [e for e in (True, False) if _is_square(rows - prefix * e)]
    if "embed_class" in given:
        fits = [given["embed_class"]]
    if prefix and len(fits) == 2:
        raise LoadError(
            f"a position table of {rows} rows fits with and without the {prefix} prefix tokens; "
            "give arch={'embed_class': True} or False"
        )
    embed_class = fits[0] if fits else True
    side = square_side(rows - prefix * embed_class, "the position table")
    return {"embed_class": embed_class, "image_size": (side * patch, side * patch)}


@dataclass(frozen=True)
class _Sized:
    image_size: Size


def _is_square(count: int) -> bool:
    try:
        return square_side(count, "") > 0
    except LoadError:
        return False
