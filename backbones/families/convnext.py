"""ConvNeXt (Liu et al., 2022) and ConvNeXt V2 (Woo et al., 2023), with FCMAE's masked input.

Input sizes that the patch does not divide: the published code cuts the rest of the image, and of
odd maps, off. Here both are padded with zeros at the right and the bottom, as convolutions pad; at
multiples of 32 pixels it is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from backbones.contract import AttentionMap, Backbone, BackboneSpec, FeatureInfo, Masked, Output
from backbones.droppath import DropPath, rates
from backbones.errors import LoadError
from backbones.families import initialise as init
from backbones.families.arch import check_head, read_fields, shorten_stage
from backbones.families.contract import Arch, Described, Family, Fitted, Size, Tensors
from backbones.families.convnext_arch import (
    DECODER,
    ConvNextArch,
    checked,
    describe,
)
from backbones.families.convnext_encoder import (
    ConvNextEncoder,
    FcmaeDecoder,
    where_seen,
    whole_cells,
)
from backbones.families.convnext_layers import last_layer, layer_of


class ConvNextFamily(Family):
    """See the module."""

    name = "convnext"
    keys = frozenset(f.name for f in dataclasses.fields(ConvNextArch))
    parts = frozenset({"head", "decoder"})
    fresh = frozenset()

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        return describe(tensors, given)

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = read_fields(ConvNextArch, {"image_size": input_size, **arch})
        if given.get("grn"):
            given.setdefault("layer_scale", None)
        if "decoder" in keep:
            given = {"final_norm": False, **DECODER, **given}
        return dataclasses.asdict(checked(given))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """As Family says; the blocks go from the end of the last stage but one, as in a Swin."""
        return shorten_stage(arch, drop_last, "encoder.stages")

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        return Fitted(dict(tensors))

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        arch = checked(spec.arch)
        check_head(arch.num_classes, keep)
        if "decoder" in keep and not arch.decoder_embed_dim:
            raise LoadError("the file has a mask token but no decoder to keep")
        return ConvNextBackbone(spec, arch, input_size, drop_path, keep)


class ConvNextBackbone(Backbone):
    """A ConvNeXt, with FCMAE's decoder where it was kept."""

    encoder: ConvNextEncoder
    decoder: FcmaeDecoder | None
    head: nn.Linear | None
    fc_norm: nn.LayerNorm | None

    def __init__(
        self,
        spec: BackboneSpec,
        arch: ConvNextArch,
        input_size: Size,
        drop_path: float,
        keep: Collection[str],
    ) -> None:
        super().__init__(spec, input_size)
        self.arch = arch
        self.encoder = ConvNextEncoder(arch)
        self.feature_info = tuple(map(FeatureInfo, arch.dims, arch.strides))
        width = arch.dims[-1]
        self.fc_norm = None if arch.final_norm else nn.LayerNorm(width, eps=arch.norm_eps)
        self.decoder = FcmaeDecoder(arch) if "decoder" in keep else None
        self.head = nn.Linear(width, arch.num_classes) if "head" in keep else None
        blocks = [block for stage in self.encoder.stages for block in stage.blocks]
        for i, (block, rate) in enumerate(zip(blocks, rates(drop_path, len(blocks)), strict=True)):
            block.drop_path = DropPath(rate, i, self._state.sample_keys)

    def patches(self, images: Tensor) -> Tensor:
        """Return the patch embeddings (B,C,h,w) of images in [0,1], after their norm."""
        normalised = whole_cells(self.normalised(images), self.arch.patch_size)
        return cast(Tensor, self.encoder.stem(normalised))

    def run(self, x: Tensor, seen: list[Tensor] | None = None) -> Iterator[tuple[int, Tensor]]:
        """Yield the stage of each block, and the map (B,C,h,w) after it.

        Args:
            x: what `patches` gives, zero where hidden.
            seen: what is not hidden, for each stage; None for everything. See `where_seen`.
        """
        for number, stage in enumerate(self.encoder.stages):
            x = self.encoder.halved(number, x) if seen is None else self._halved(number, x, seen)
            for block in stage.blocks:
                x = block(x) if seen is None else where_seen(block, x, seen[number])
                yield number, x

    def _halved(self, number: int, x: Tensor, seen: list[Tensor]) -> Tensor:
        # Cells are hidden by whole cells of the last stage, so none is merged with a hidden one.
        return self.encoder.halved(number, x) * seen[number] if number else x

    def last(self, images: Tensor) -> Tensor:
        """Return the map (B,C,h,w) after the last block, before the final norm."""
        return _last(self.run(self.patches(images)))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(dict(self.run(self.patches(images))).values())

    def encode(self, images: Tensor) -> Tensor:
        return self.encoder.normed(self.last(images))

    def pooled(self, images: Tensor) -> Tensor:
        """As the contract says: the norm follows the mean, but where `norm_first` says otherwise;
        pre-trained files have none, and a new one, `fc_norm`, is put there for fine-tuning."""
        x = self.last(images)
        if self.fc_norm is not None:
            return cast(Tensor, self.fc_norm(x.mean(dim=(2, 3))))
        if self.arch.norm_first:
            return self.encoder.normed(x).mean(dim=(2, 3))
        return self.encoder.normed(x.mean(dim=(2, 3), keepdim=True)).flatten(1)

    def blocks(self, images: Tensor) -> list[Tensor]:
        """Return the map (B,C,h,w) after every block, before the final norm."""
        return [x for _, x in self.run(self.patches(images))]

    def attention(self, images: Tensor) -> Iterator[AttentionMap]:
        raise self.without_attention()

    def logits(self, images: Tensor) -> Tensor:
        if self.head is None:
            raise self.missing("head")
        return cast(Tensor, self.head(self.pooled(images)))

    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        """As the contract says, with cells of the last stage (32 pixels) for patches.

        Features are zero where hidden. The response normalisation counts the seen cells of one
        image; in the published training code it counts those of the whole batch.
        """
        if self.decoder is None:
            raise self.missing("decoder")
        hidden = self._checked_mask(mask, len(images)).unsqueeze(1)
        seen = self._seen(~hidden)
        features = _last(self.run(self.patches(images) * seen[0], seen))
        height, width = self.input_size
        return Masked(features, self.decoder(features, hidden)[:, :, :height, :width])

    def _checked_mask(self, mask: Tensor, count: int) -> Tensor:
        expected = (count, *self.arch.grids(self.input_size)[-1])
        if mask.dtype != torch.bool or tuple(mask.shape) != expected:
            raise ValueError(
                f"expected a bool mask of shape {expected}, got {mask.dtype} {tuple(mask.shape)}"
            )
        return mask

    def _seen(self, cells: Tensor) -> list[Tensor]:
        """Return the last stage's cells (B,1,h,w) as numbers at each stage."""
        found = []
        for (rows, columns), stride in zip(
            self.arch.grids(self.input_size), self.arch.strides, strict=True
        ):
            times = self.arch.strides[-1] // stride
            finer = cells.repeat_interleave(times, 2).repeat_interleave(times, 3)
            found.append(finer[:, :, :rows, :columns].to(self.mean.dtype))
        return found

    def layer_ids(self, rule: str | None = None) -> dict[str, int]:
        depths = self.arch.depths
        return {name: layer_of(name, depths, rule) for name, _ in self.named_parameters()}

    @property
    def last_layer(self) -> int:
        return last_layer(self.arch.depths)

    def unused_names(self, output: Output) -> set[str]:
        names = {name for name, _ in self.named_parameters()}
        used = {
            "pooled": ("encoder.", "fc_norm."),
            "logits": ("encoder.", "fc_norm.", "head."),
            "masked": ("encoder.", "decoder."),
        }.get(output, ("encoder.",))
        unused = {name for name in names if not name.startswith(used)}
        if output in ("forward", "masked"):
            unused |= {name for name in names if name.startswith("encoder.norm.")}
        return unused

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw every parameter anew, as the published fine-tuning code does.

        Its normal of deviation 0.02 is truncated at 100 deviations, which never bites. FCMAE's code
        draws most of the decoder at deviation 1, which is not followed.
        """
        random = init.generator(seed)
        weights = init.normal(random, 0.02)
        special: dict[str, init.Fill] = {"decoder.mask_token": weights}
        for name, _ in self.named_parameters():
            if name.endswith(".gamma"):
                special[name] = init.constant(self.arch.layer_scale or 0.0)
            elif ".grn." in name:
                special[name] = init.constant(0.0)
        init.fill(self, weights, weights, special, random)
        self.seal()


def _last(run: Iterator[tuple[int, Tensor]]) -> Tensor:
    *_, (_, x) = run
    return x
