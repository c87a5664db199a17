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
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones.contract import AttentionMap, Backbone, BackboneSpec, FeatureInfo, Masked, Output
from backbones.families import initialise as init
from backbones.families import stage_layers
from backbones.families.arch import check_head, read_fields
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.hiera_arch import (
    POSITIONS,
    WINDOW_POSITIONS,
    HieraArch,
    checked,
    describe,
    heads,
)
from backbones.families.hiera_encoder import HieraEncoder, attention_probabilities
from backbones.families.positions import Grid, grid_of, resize_absolute
from backbones.families.stage_arch import shorten
from backbones.families.tokens import replace_drop_path

_BIAS = 0.02
_HEAD_SCALE = 0.001


class HieraFamily(Family):
    """See the module."""

    name = "hiera"
    keys = frozenset(f.name for f in dataclasses.fields(HieraArch))
    parts = frozenset({"head"})
    fresh = frozenset({"fc_norm.weight", "fc_norm.bias"})

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        return describe(tensors, given)

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = read_fields(HieraArch, {"image_size": input_size, **arch})
        if "embed_dim" in given:
            given["num_heads"] = heads(given["embed_dim"], given)[0]
        if "depths" in given:
            given.setdefault("q_pool", len(given["depths"]) - 1)
        return dataclasses.asdict(checked(given))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """As Family says; blocks go from the last stage but one, as for the Swin family."""
        return shorten(arch, drop_last)

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        shape = checked(arch)
        old, new = shape.padded(shape.image_size), shape.padded(input_size)
        if old == new or shape.window_table or POSITIONS not in tensors:
            return Fitted(dict(tensors))
        table = resize_absolute(tensors[POSITIONS], 0, old, new, "bicubic")
        rule = f"position table {old[0]}x{old[1]} to {new[0]}x{new[1]}, bicubic"
        return Fitted({**tensors, POSITIONS: table}, {rule: [POSITIONS]})

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        arch = checked(spec.arch)
        check_head(arch.num_classes, keep)
        return HieraBackbone(spec, arch, input_size, drop_path, keep)


class HieraBackbone(Backbone):
    """See the module. The file's norm comes after the mean, as in `pooled`; maps have none."""

    encoder: Any
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
        self.feature_info = tuple(map(FeatureInfo, arch.widths, arch.strides))
        replace_drop_path(self._blocks(), drop_path, self._state.sample_keys)

    def _blocks(self) -> list[Any]:
        return list(chain.from_iterable(stage.blocks for stage in self.encoder.layers))

    def patches(self, images: Tensor) -> Tensor:
        """Return the patch embeddings with positions (B,N,C), in the order of the blocks."""
        sides = zip(self.grid, self.input_size, strict=True)
        bottom, right = (n * self.arch.patch_size - side for n, side in sides)
        padded = functional.pad(self.normalised(images), (0, right, 0, bottom))
        return cast(Tensor, self.encoder.embed(padded))

    def run(self, tokens: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the stage of each block, and the tokens after it."""
        for number, stage in enumerate(self.encoder.layers):
            for block in stage.blocks:
                tokens = block(tokens)
                yield number, tokens

    def _cells(self, stage: int) -> Grid:
        return grid_of(self.input_size, self.arch.strides[stage])

    def as_map(self, tokens: Tensor, stage: int, block: int) -> Tensor:
        """Return the tokens (B,N,C) after a block as a map (B,C,h,w)."""
        rows, columns = self._cells(stage)
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
        """Hiera's decoder is not read: there is nothing to keep."""
        raise self.missing("decoder")

    def attention(self, images: Tensor) -> Iterator[AttentionMap]:
        """Yield the attention of one block after another, over the whole map.

        Queries are the cells of the map after the block in raster order, the tokens that were
        pooled together in one. Keys are the cells of the map before it in raster order and then,
        where mask units stick out of the image, the padding: it has no place, its positions are
        NaN. The first stage's maps are large: see StageBackbone.
        """
        inputs: list[Tensor] = []
        blocks = self._blocks()
        hooks = [
            block.attn.register_forward_pre_hook(lambda _, found: inputs.append(found[0]))
            for block in blocks
        ]
        try:
            before = 0
            for number, (stage, _) in enumerate(self.run(self.patches(images))):
                whole = attention_probabilities(blocks[number].attn, inputs.pop())
                source = before if blocks[number].attn.q_stride > 1 else stage
                queries, places = self._order(stage, number, images.device)
                keys, key_places = self._order(source, number - (source != stage), images.device)
                count = self._cells(stage)[0] * self._cells(stage)[1]
                weights = whole[:, :, queries[:count]][:, :, :, keys]
                yield AttentionMap(number, stage, weights, places[:count], key_places)
                before = stage
        finally:
            for hook in hooks:
                hook.remove()

    def _order(self, stage: int, block: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the tokens of a map, those of the image in raster order and then the padding, and
        their places (N,2) as in AttentionMap."""
        tokens = self.encoder.places(block)
        inside = torch.zeros_like(tokens, dtype=torch.bool)
        rows, columns = self._cells(stage)
        inside[:rows, :columns] = True
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centres = (torch.stack([x.flatten(), y.flatten()], dim=1) + 0.5) * self.arch.strides[stage]
        height, width = self.input_size
        places = torch.full((tokens.numel(), 2), torch.nan)
        places[: len(centres)] = centres.minimum(torch.tensor([width, height]))
        order = torch.cat([tokens[inside], tokens[~inside]])
        return order.to(device), places.to(device)

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
        used = {"pooled": ("encoder.", "fc_norm."), "logits": ("encoder.", "fc_norm.", "head.")}
        prefixes = used.get(output, ("encoder.",))
        return {name for name, _ in self.named_parameters() if not name.startswith(prefixes)}

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw every parameter anew, as hiera.py of facebookresearch/hiera does.

        Biases of linear layers and norms begin at 0.02 there, the classifier a thousandth as large.
        """
        random = init.generator(seed)
        weights = init.normal(random, 0.02)
        conv = "encoder.patch_embed.proj"
        fan_in = self.encoder.patch_embed.proj.weight[0].numel()
        special: dict[str, init.Fill] = {
            name: init.constant(_BIAS)
            for name, _ in self.named_parameters()
            if name.endswith(".bias")
        }
        special |= {
            f"{conv}.bias": init.torch_uniform(random, fan_in),
            POSITIONS: weights,
            WINDOW_POSITIONS: weights,
            "head.weight": init.normal(random, 0.02 * _HEAD_SCALE),
            "head.bias": init.constant(_BIAS * _HEAD_SCALE),
        }
        scale = init.constant(self.arch.layer_scale or 0.0)
        special |= {n: scale for n, _ in self.named_parameters() if n.endswith(".gamma")}
        init.fill(self, weights, weights, special, random)
        self.seal()
