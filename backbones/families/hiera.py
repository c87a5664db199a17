"""Hiera (Ryali et al., 2023): attention in mask units, then over the map, pooled between stages.

Input sizes that mask units (32 pixels) do not divide: the published code refuses them. Here the
normalised image is padded with zeros (the mean colour) at the right and the bottom; attention takes
the padding for image, maps are cut to the cells that the image reaches.

Other sizes: the published code has no rule for a table of one image size; it is resized by bicubic
interpolation, the plain way of Bolya et al. (2023). Theirs, with a window's table, goes to any size
by itself: bicubic interpolation with antialiasing, as timm has it, whose weights these are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones.contract import (
    AttentionMap,
    Backbone,
    BackboneSpec,
    FeatureInfo,
    Masked,
    Output,
    WindowAttention,
)
from backbones.errors import LoadError
from backbones.families import initialise as init
from backbones.families import stage_layers
from backbones.families.arch import ask, check_head, read_fields, shorten_stage
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.hiera_arch import (
    MAE_DECODER,
    POSITIONS,
    WINDOW_POSITIONS,
    HieraArch,
    checked,
    describe,
    heads,
)
from backbones.families.hiera_attention import Units, attention_in_units
from backbones.families.hiera_decoder import HieraDecoder
from backbones.families.hiera_encoder import HieraEncoder
from backbones.families.positions import resize_absolute
from backbones.families.stages import checked_mask
from backbones.families.tokens import replace_drop_path
from backbones.families.windows import over_the_map

DECODER_POSITIONS = "decoder.pos_embed"
_BIAS = 0.02
_HEAD_SCALE = 0.001


class HieraFamily(Family):
    """See the module."""

    name = "hiera"
    keys = frozenset(f.name for f in dataclasses.fields(HieraArch))
    parts = frozenset({"head", "decoder"})
    fresh = frozenset({"fc_norm.weight", "fc_norm.bias"})

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        return describe(tensors, given)

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = read_fields(HieraArch, {"image_size": input_size, **arch})
        if "embed_dim" in given:
            given["num_heads"] = heads(given["embed_dim"], given)[0]
        if "depths" in given:
            given.setdefault("q_pool", len(given["depths"]) - (2 if "decoder" in keep else 1))
        if "decoder" in keep:
            given = {**MAE_DECODER, "decoder_pool": given.get("q_pool", 0), **given}
        return dataclasses.asdict(checked(given))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """As Family says; blocks go from the last stage but one, as for the Swin family."""
        return shorten_stage(arch, drop_last, "encoder.layers")

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        shape = checked(arch)
        old, new = shape.padded(shape.image_size), shape.padded(input_size)
        if old == new or shape.window_table:
            return Fitted(dict(tensors))
        values, converted = dict(tensors), dict[str, list[str]]()
        for name, factor in ((POSITIONS, 1), (DECODER_POSITIONS, 2**shape.decoder_pool)):
            if name in tensors:
                source, target = ((h // factor, w // factor) for h, w in (old, new))
                values[name] = resize_absolute(tensors[name], 0, source, target, "bicubic")
                by = f"{source[0]}x{source[1]} to {target[0]}x{target[1]}"
                converted[f"position table {by}, bicubic"] = [name]
        return Fitted(values, converted)

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        arch = checked(spec.arch)
        check_head(arch.num_classes, keep)
        if "decoder" in keep and not arch.decoder_num_heads:
            raise ask("decoder_num_heads", f"no published decoder is {arch.decoder_embed_dim} wide")
        if "decoder" in keep and arch.q_pool != arch.decoder_pool:
            raise LoadError(
                f"the decoder was trained with q_pool={arch.decoder_pool}, the encoder is to have "
                f"{arch.q_pool}; give arch={{'q_pool': {arch.decoder_pool}}}"
            )
        return HieraBackbone(spec, arch, input_size, drop_path, keep)


class HieraBackbone(Backbone):
    """See the module. The file's norm comes after the mean, as in `pooled`; maps have none."""

    encoder: Any
    decoder: HieraDecoder | None
    head: nn.Linear | None

    def __init__(
        self,
        spec: BackboneSpec,
        arch: HieraArch,
        input_size: Size,
        drop_path: float,
        keep: Collection[str],
    ) -> None:
        super().__init__(spec, input_size)
        self.arch = arch
        self.grid = arch.padded(input_size)
        self.encoder = HieraEncoder(arch, self.grid)
        self.fc_norm = nn.LayerNorm(arch.widths[-1], eps=arch.norm_eps)
        self.head = nn.Linear(arch.widths[-1], arch.num_classes) if "head" in keep else None
        self.decoder = HieraDecoder(arch, self.grid) if "decoder" in keep else None
        self.feature_info = tuple(map(FeatureInfo, arch.widths, arch.strides))
        replace_drop_path(self.encoder.every_block(), drop_path, self._state.sample_keys)

    def padded(self, images: Tensor) -> Tensor:
        """Return images in [0,1] as the encoder takes them, of whole mask units."""
        sides = zip(self.grid, self.input_size, strict=True)
        bottom, right = (n * self.arch.patch_size - side for n, side in sides)
        return functional.pad(self.normalised(images), (0, right, 0, bottom))

    def patches(self, images: Tensor) -> Tensor:
        """Return the patch embeddings with positions (B,N,C), in the order of the blocks."""
        return cast(Tensor, self.encoder.embed(self.padded(images)))

    def run(self, tokens: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the stage of each block, and the tokens after it."""
        return cast(Iterator[tuple[int, Tensor]], self.encoder.run(tokens))

    def as_map(self, tokens: Tensor, stage: int, block: int) -> Tensor:
        """Return the tokens (B,N,C) after a block as a map (B,C,h,w)."""
        rows, columns = self.arch.cells(self.input_size, stage)
        cut = self.encoder.in_raster(tokens, block)[:, :rows, :columns]
        return cast(Tensor, cut.permute(0, 3, 1, 2).contiguous())

    def blocks(self, images: Tensor) -> list[Tensor]:
        """Return the map (B,C,h,w) after every block."""
        seen = enumerate(self.run(self.patches(images)))
        return [self.as_map(tokens, stage, block) for block, (stage, tokens) in seen]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        last = {}
        for block, (stage, tokens) in enumerate(self.run(self.patches(images))):
            last[stage] = (tokens, stage, block)
        return tuple(self.as_map(*each) for each in last.values())

    def encode(self, images: Tensor) -> Tensor:
        return self.forward(images)[-1]

    def pooled(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.fc_norm(self.encode(images).mean(dim=(2, 3))))

    def logits(self, images: Tensor) -> Tensor:
        if self.head is None:
            raise self.missing("head")
        return cast(Tensor, self.head(self.pooled(images)))

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        """As the contract says, with the cells of a mask being mask units (32 pixels), equally
        many of them hidden in each image.

        The features are (B,tokens,C): the kept units in raster order, each with its cells in raster
        order, after the norm of the sum of all stages.

        Raises:
            ValueError: another number in each image, or none kept.
        """
        if self.decoder is None:
            raise self.missing("decoder")
        units = self.decoder.units
        hidden = checked_mask(mask, images.new_empty(len(images), *units)).flatten(1)
        counts = hidden.sum(dim=1)
        if (counts != counts[0]).any() or counts[0] == hidden.shape[1]:
            raise ValueError(
                "expected equally many hidden mask units in each image, and some that are not; got "
                f"{counts.tolist()} of {hidden.shape[1]}"
            )
        pixels = self.arch.patch_size * self.arch.unit
        seen = ~mask.repeat_interleave(pixels, 1).repeat_interleave(pixels, 2).unsqueeze(1)
        tokens = self.encoder.embed(self.padded(images) * seen)
        kept = ~hidden.repeat(1, tokens.shape[1] // hidden.shape[1])
        tokens = tokens[kept].view(len(images), -1, tokens.shape[-1])
        stages: dict[int, Tensor] = {}
        for block, (stage, after) in enumerate(self.run(tokens)):
            stages[min(stage, self.arch.q_pool)] = self.encoder.reroll(after, block, mask=hidden)
        features = self.decoder.gather(list(stages.values()))
        height, width = self.input_size
        reconstruction = self.decoder(features, hidden)[:, :, :height, :width]
        return Masked(features.flatten(1, 3), reconstruction)

    def attention(self, images: Tensor) -> Iterator[AttentionMap]:
        """Yield the attention of one block after another, over the whole map.

        Queries are the cells of the map after the block in raster order, the tokens that were
        pooled together in one. Keys are the cells of the map before it in raster order and then,
        where mask units stick out of the image, the padding: it has no place, its positions are
        NaN. The first stage's maps are large: see StageBackbone.
        """
        return (over_the_map(*units) for units in self._units(images))

    def attention_in_windows(self, images: Tensor) -> Iterator[WindowAttention]:
        """As the contract says, mask units being windows."""
        return (units.found for units in self._units(images))

    def _units(self, images: Tensor) -> Iterator[Units]:
        patches = self.patches(images)
        return attention_in_units(self.encoder, self.arch, self.input_size, patches)

    @property
    def last_layer(self) -> int:
        return self.last_layer_of(None)

    def last_layer_of(self, rule: str | None) -> int:
        return stage_layers.last_layer(self.arch.depths, rule)

    def layer_ids(self, rule: str | None = None) -> dict[str, int]:
        """As Backbone says: block after block as in a plain ViT, position tables with patches."""
        names = {name: name for name, _ in self.named_parameters()}
        tables = {POSITIONS, WINDOW_POSITIONS} & names.keys()
        names |= dict.fromkeys(tables, "encoder.patch_embed.proj.weight")
        found = stage_layers.layer_ids(names.values(), self.arch.depths, rule)
        return {name: found[alike] for name, alike in names.items()}

    def unused_names(self, output: Output) -> set[str]:
        used = {
            "pooled": ("encoder.", "fc_norm."),
            "logits": ("encoder.", "fc_norm.", "head."),
            "masked": ("encoder.", "decoder."),
        }
        prefixes = used.get(output, ("encoder.",))
        return {name for name, _ in self.named_parameters() if not name.startswith(prefixes)}

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw every parameter anew, as hiera.py of facebookresearch/hiera does, or with the
        decoder hiera_mae.py.

        In the former biases of linear layers and norms begin at 0.02, and the classifier is a
        thousandth as large.
        """
        random = init.generator(seed)
        masked = self.decoder is not None
        weights = init.xavier(random) if masked else init.normal(random, 0.02)
        tables = init.normal(random, 0.02)
        special: dict[str, init.Fill] = {}
        for name, parameter in self.named_parameters():
            if name.endswith(".bias") and not masked:
                special[name] = init.constant(_BIAS)
            elif name.endswith(".gamma"):
                special[name] = init.constant(self.arch.layer_scale or 0.0)
            elif name.endswith(("pos_embed", "pos_embed_win", "mask_token")):
                special[name] = tables
            elif ".fusion." in name and name.endswith(".weight"):
                fan_in = parameter[0].numel()
                special[name] = init.torch_uniform(random, fan_in)
                special[name.replace("weight", "bias")] = init.torch_uniform(random, fan_in)
        fan_in = self.encoder.patch_embed.proj.weight[0].numel()
        special["encoder.patch_embed.proj.bias"] = init.torch_uniform(random, fan_in)
        special["head.weight"] = init.normal(random, 0.02 * _HEAD_SCALE)
        special["head.bias"] = init.constant(_BIAS * _HEAD_SCALE)
        init.fill(self, weights, weights, special, random)
        self.seal()
