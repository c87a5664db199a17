"""What Swin and SwinV2 have in common: four stages of blocks with windows, each map half as fine.

Input sizes that the patch does not divide: the normalised image is padded with zeros (the mean
colour) at the right and the bottom, as the family's detection code does; an odd map is padded
likewise before it is halved.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any, ClassVar, cast

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
from backbones.families import initialise as init
from backbones.families import stage_layers
from backbones.families.pixel_decoder import PixelDecoder
from backbones.families.positions import centres
from backbones.families.stage_arch import StageArch
from backbones.families.stage_encoder import Stage, StageEncoder, norm_layer
from backbones.families.tokens import recorded_attention, replace_drop_path
from backbones.families.windows import Windows
from backbones.layer_rules import no_decay_names


class StageBackbone(Backbone):
    """An encoder of stages, with SimMIM's masked input and decoder where they were kept.

    A family gives `block` and `merging`, and how its own parameters are initialised.
    """

    block: ClassVar[Any]
    merging: ClassVar[Any]
    encoder: Any
    decoder: PixelDecoder | None
    head: nn.Linear | None

    def __init__(
        self,
        spec: BackboneSpec,
        arch: StageArch,
        input_size: tuple[int, int],
        drop_path: float,
        keep: Collection[str],
    ) -> None:
        super().__init__(spec, input_size)
        self.arch = arch
        stages = [self._stage(i, windows) for i, windows in enumerate(arch.windows(input_size))]
        self.encoder = StageEncoder(arch, stages)
        self.feature_info = tuple(map(FeatureInfo, arch.widths, arch.strides))
        width = arch.widths[-1]
        self.decoder = (
            PixelDecoder(arch.embed_dim, width, arch.strides[-1]) if "decoder" in keep else None
        )
        self.head = nn.Linear(width, arch.num_classes) if "head" in keep else None
        replace_drop_path(self._blocks(), drop_path, self._state.sample_keys)

    def _stage(self, number: int, windows: list[Windows]) -> Stage:
        widths, norm = self.arch.widths, norm_layer(self.arch)
        merging = (
            self.merging(widths[number - 1], widths[number], norm_layer=norm)
            if number
            else nn.Identity()
        )
        return Stage(merging, [self.block(self.arch, number, each) for each in windows])

    def _blocks(self) -> list[Any]:
        return list(chain.from_iterable(stage.blocks for stage in self.encoder.layers))

    def patches(self, images: Tensor) -> Tensor:
        """Return the patch embeddings (B,h,w,C) of images in [0,1], after their norm."""
        patch = self.arch.patch_size
        bottom, right = (-side % patch for side in self.input_size)
        normalised = functional.pad(self.normalised(images), (0, right, 0, bottom))
        return cast(Tensor, self.encoder.patch_embed(normalised))

    def run(self, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the stage of each block, and the map (B,h,w,C) after it."""
        for number, stage in enumerate(self.encoder.layers):
            x = stage.downsample(x)
            for block in stage.blocks:
                x = block(x)
                yield number, x

    def last(self, x: Tensor) -> Tensor:
        """Return the map (B,h,w,C) after the last block and the final norm."""
        for _, after in self.run(x):
            x = after
        return cast(Tensor, self.encoder.normed(x))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = dict(self.run(self.patches(images)))
        return tuple(channels_first(x) for x in maps.values())

    def encode(self, images: Tensor) -> Tensor:
        return channels_first(self.last(self.patches(images)))

    def pooled(self, images: Tensor) -> Tensor:
        return self.last(self.patches(images)).mean(dim=(1, 2))

    def blocks(self, images: Tensor) -> list[Tensor]:
        """Return the map (B,C,h,w) after every block, before the final norm."""
        return [channels_first(x) for _, x in self.run(self.patches(images))]

    def logits(self, images: Tensor) -> Tensor:
        if self.head is None:
            raise self.missing("head")
        return cast(Tensor, self.head(self.pooled(images)))

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        if self.decoder is None:
            raise self.missing("decoder")
        patches = self.patches(images)
        hidden = checked_mask(mask, patches).unsqueeze(-1)
        token = self.decoder.mask_token.to(patches.dtype)
        features = channels_first(self.last(torch.where(hidden, token, patches)))
        height, width = self.input_size
        return Masked(features, self.decoder(features)[:, :, :height, :width])

    def attention(self, images: Tensor) -> Iterator[AttentionMap]:
        """Yield the attention of one block after another, over the whole map of its stage.

        Queries are the cells of the map in raster order; keys are the same and then, where windows
        stick out of the map, their padding, which the published code attends to. It has no place:
        its positions are NaN. Pairs that only rolling made neighbours have the weight that the
        published mask leaves them. The first stages' maps are large: 56x56 cells and 4 heads take
        157 MB an image.
        """
        blocks = self._blocks()
        for found in self.attention_in_windows(images):
            yield blocks[found.block].windows.over_the_map(found)

    def attention_in_windows(self, images: Tensor) -> Iterator[WindowAttention]:
        blocks = self._blocks()
        with recorded_attention(blocks) as seen:
            for number, (stage, _) in enumerate(self.run(self.patches(images))):
                windows: Windows = blocks[number].windows
                places = centres(windows.grid, self.arch.strides[stage], self.input_size)
                yield windows.attention(number, stage, seen.pop(), places)

    def layer_ids(self, rule: str | None = None) -> dict[str, int]:
        names = [name for name, _ in self.named_parameters()]
        return stage_layers.layer_ids(names, self.arch.depths, rule)

    @property
    def last_layer(self) -> int:
        return self.last_layer_of(None)

    def last_layer_of(self, rule: str | None) -> int:
        return stage_layers.last_layer(self.arch.depths, rule)

    def no_decay_names(self, rule: str | None = None) -> set[str]:
        named = [(name, parameter.ndim) for name, parameter in self.named_parameters()]
        return no_decay_names(named, rule) | stage_layers.spared(named, rule)

    def unused_names(self, output: Output) -> set[str]:
        names = {name for name, _ in self.named_parameters()}
        parts = {"logits": ("encoder.", "head."), "masked": ("encoder.", "decoder.")}
        unused = {name for name in names if not name.startswith(parts.get(output, ("encoder.",)))}
        if output == "forward":
            unused |= {name for name in names if name.startswith(f"encoder.{self.arch.norm}.")}
        return unused

    def arch_as_run(self) -> dict[str, Any]:
        return self.arch.as_run(self.input_size)

    def arch_for(self, size: tuple[int, int]) -> dict[str, Any]:
        """As the contract says; windows are those of the file's architecture at that size."""
        return {**self.arch_as_run(), "window_size": self.arch.sides(size)}

    @abstractmethod
    def special(self, weights: init.Fill) -> dict[str, init.Fill]:
        """Return how the family's own parameters are filled: name -> fill."""

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw every parameter anew, as Liu et al. (2021 and 2022) and SimMIM's code do.

        Their normal of deviation 0.02 is truncated at 100 deviations, which never bites.
        """
        random = init.generator(seed)
        weights = init.normal(random, 0.02)
        special = self.special(weights)
        if self.decoder is not None:
            special["decoder.mask_token"] = weights
            fan_in = self.decoder.conv.in_channels
            special["decoder.conv.weight"] = init.torch_uniform(random, fan_in)
            special["decoder.conv.bias"] = init.torch_uniform(random, fan_in)
        init.fill(self, weights, None, special, random)
        self.seal()


def channels_first(x: Tensor) -> Tensor:
    """Return a map (B,h,w,C) as (B,C,h,w)."""
    return x.permute(0, 3, 1, 2).contiguous()


def checked_mask(mask: Tensor, patches: Tensor) -> Tensor:
    """Return the mask.

    Raises:
        ValueError: not bool, or not of the shape of the patches.
    """
    expected = tuple(patches.shape[:3])
    if mask.dtype != torch.bool or tuple(mask.shape) != expected:
        raise ValueError(
            f"expected a bool mask of shape {expected}, got {mask.dtype} {tuple(mask.shape)}"
        )
    return mask
