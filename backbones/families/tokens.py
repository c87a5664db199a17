"""What plain and BEiT-style vision transformers have in common: a row of tokens through blocks.

Input sizes that the patch does not divide: the published codes refuse them. Here the normalised
image is padded with zeros (the mean colour) at the right and the bottom to whole patches, as the
Swin family's patch embedding does; maps then have ceil(H/p) x ceil(W/p) cells. Where patches begin
outside the image, all do so by the same number of pixels: the last ones end as much inside it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones.contract import AttentionMap, Backbone, BackboneSpec, FeatureInfo, Output
from backbones.droppath import DropPath, SampleKeys, rates
from backbones.families.positions import centres, grid_of
from backbones.layer_rules import vit_layer

NORM_EPS = 1e-6


class TokenBackbone(Backbone):
    """A transformer of timm under `encoder`, run block by block.

    Args:
        spec: what it is.
        encoder: timm's model, built for `grid` times `patch` pixels, without its head.
        input_size: (H,W) of the images.
        patch: side of a patch in pixels.
        prefix: number of tokens before the patches.
        pool: "mean_fc_norm" (mean of un-normed patch tokens, then `fc_norm`), "class_token"
            (normed), "mean" (of the normed patch tokens) or "attention" (the encoder's `attn_pool`
            of all normed tokens).
        drop_path: rate at the last block.
        padding: pixels by which patches begin left of and above the image.
    """

    encoder: Any
    decoder: Any
    head: nn.Linear | None

    def __init__(
        self,
        spec: BackboneSpec,
        encoder: nn.Module,
        input_size: tuple[int, int],
        patch: int,
        prefix: int,
        pool: str,
        drop_path: float,
        padding: int = 0,
    ) -> None:
        super().__init__(spec, input_size)
        self.encoder = encoder
        self.patch = patch
        self.padding = padding
        self.prefix = prefix
        self.pool = pool
        self.grid = grid_of(input_size, patch)
        width: int = self.encoder.embed_dim
        self.width = width
        self.feature_info = (FeatureInfo(width, patch),)
        self.fc_norm = (
            nn.LayerNorm(width, eps=spec.arch["norm_eps"]) if pool == "mean_fc_norm" else None
        )
        self.decoder = None
        self.head = None
        replace_drop_path(self.encoder.blocks, drop_path, self._state.sample_keys)

    @abstractmethod
    def tokens(self, patches: Tensor) -> Tensor:
        """Put prefix tokens before patch embeddings (B,N,C) and add positions."""

    @abstractmethod
    def run(self, tokens: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
        """Yield each block and the tokens after it."""

    def patches(self, images: Tensor) -> Tensor:
        """Return the patch embeddings (B,N,C) of images in [0,1]."""
        normalised = self.normalised(images)
        before = self.padding
        bottom, right = (
            n * self.patch - s - before for n, s in zip(self.grid, self.input_size, strict=True)
        )
        if before or bottom or right:
            # What sticks out behind the last patch is cut off: there its padding is negative.
            normalised = functional.pad(normalised, (before, right, before, bottom))
        embedded: Tensor = self.encoder.patch_embed(normalised)
        return embedded

    def through(self, tokens: Tensor) -> Tensor:
        """Return the tokens after the last block."""
        for _, after in self.run(tokens):
            tokens = after
        return tokens

    def as_map(self, tokens: Tensor) -> Tensor:
        """Return the patch tokens (B,P+N,C) as a map (B,C,h,w)."""
        patches = tokens[:, self.prefix :]
        return patches.transpose(1, 2).reshape(len(tokens), -1, *self.grid)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.encode(images),)

    def encode(self, images: Tensor) -> Tensor:
        return self.as_map(self.encoder.norm(self.through(self.tokens(self.patches(images)))))

    def pooled(self, images: Tensor) -> Tensor:
        tokens = self.through(self.tokens(self.patches(images)))
        if self.fc_norm is not None:
            return cast(Tensor, self.fc_norm(tokens[:, self.prefix :].mean(dim=1)))
        normed: Tensor = self.encoder.norm(tokens)
        if self.pool == "attention":
            return cast(Tensor, self.encoder.attn_pool(normed))
        return normed[:, 0] if self.pool == "class_token" else normed[:, self.prefix :].mean(dim=1)

    def blocks(self, images: Tensor) -> list[Tensor]:
        return [after for _, after in self.run(self.tokens(self.patches(images)))]

    def logits(self, images: Tensor) -> Tensor:
        if self.head is None:
            raise self.missing("head")
        return cast(Tensor, self.head(self.pooled(images)))

    def attention(self, images: Tensor) -> Iterator[AttentionMap]:
        positions = self._positions(images.device)
        with recorded_attention(self.encoder.blocks) as seen:
            for block, _ in enumerate(self.run(self.tokens(self.patches(images)))):
                yield AttentionMap(block, 0, seen.pop(), positions, positions)

    def _positions(self, device: torch.device) -> Tensor:
        """Return the places of all tokens, (P+N,2), as in AttentionMap; NaN for the prefix."""
        inside = centres(self.grid, self.patch, self.input_size, self.padding)
        return torch.cat([torch.full((self.prefix, 2), torch.nan), inside]).to(device)

    def checked_mask(self, images: Tensor, mask: Tensor) -> Tensor:
        """Return the mask as (B,N), True = hidden.

        Raises:
            ValueError: another type or shape.
        """
        expected = (len(images), *self.grid)
        if mask.dtype != torch.bool or tuple(mask.shape) != expected:
            raise ValueError(
                f"expected a bool mask of shape {expected}, got {mask.dtype} {tuple(mask.shape)}"
            )
        return mask.flatten(1)

    @property
    def last_layer(self) -> int:
        return len(self.encoder.blocks) + 1

    def layer_ids(self, rule: str | None = None) -> dict[str, int]:
        depth = len(self.encoder.blocks)
        return {name: vit_layer(name, depth, rule) for name, _ in self.named_parameters()}

    def unused_names(self, output: Output) -> set[str]:
        names = {name for name, _ in self.named_parameters()}
        used = {
            "forward": ("encoder.",),
            "encode": ("encoder.",),
            "pooled": ("encoder.", "fc_norm."),
            "logits": ("encoder.", "fc_norm.", "head."),
            "masked": ("encoder.", "decoder."),
        }[output]
        unused = {name for name in names if not name.startswith(used)}
        if output in ("pooled", "logits") and self.fc_norm is not None:
            unused |= {name for name in names if name.startswith("encoder.norm.")}
        if output not in ("pooled", "logits"):
            unused |= {name for name in names if name.startswith("encoder.attn_pool.")}
        return unused


def replace_drop_path(blocks: Any, last: float, keys: SampleKeys) -> None:
    """Put our own drop path into timm's blocks, two branches a block."""
    for i, (block, rate) in enumerate(zip(blocks, rates(last, len(blocks)), strict=True)):
        block.drop_path1 = DropPath(rate, 2 * i, keys)
        block.drop_path2 = DropPath(rate, 2 * i + 1, keys)


@contextmanager
def recorded_attention(blocks: Any) -> Iterator[list[Tensor]]:
    """Collect the attention probabilities of each block as it runs, without fused attention."""
    seen: list[Tensor] = []
    modules = [block.attn for block in blocks]
    fusing = [module for module in modules if hasattr(module, "fused_attn")]
    fused = [module.fused_attn for module in fusing]
    hooks = [
        module.attn_drop.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for module in modules
    ]
    try:
        for module in fusing:
            module.fused_attn = False
        yield seen
    finally:
        for module, value in zip(fusing, fused, strict=True):
            module.fused_attn = value
        for hook in hooks:
            hook.remove()
