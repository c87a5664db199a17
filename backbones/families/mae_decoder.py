"""The decoder of a masked autoencoder (He et al., 2022, section 3; facebookresearch/mae)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from backbones.families.arch import TABLE, depth_of, perhaps, rows_of

POSITIONS = "decoder.pos_embed"
PUBLISHED = {"decoder_embed_dim": 512, "decoder_depth": 8, "decoder_num_heads": 16}


def read_decoder(
    tensors: Mapping[str, Tensor], given: Mapping[str, Any]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the decoder's fields of an architecture as the file has it, and a note.

    The number of heads is 0 where nothing tells: it is needed only where the decoder is kept.
    """
    width = rows_of(tensors, "decoder.embed.weight", ("decoder width", "width"))
    perhaps(tensors, POSITIONS, TABLE)
    shape = {"decoder_embed_dim": width, "decoder_depth": depth_of(tensors, "decoder.blocks")}
    key = "decoder_num_heads"
    if key in given:
        return {**shape, key: given[key]}, ()
    if width == PUBLISHED["decoder_embed_dim"]:
        note = f"{key}={PUBLISHED[key]} as in the published decoder (width {width})"
        return {**shape, key: PUBLISHED[key]}, (note,)
    return {**shape, key: 0}, ()


def check_equally_hidden(hidden: Tensor) -> None:
    """Refuse a mask (B,N) under which the images keep different numbers of patches, or none.

    Raises:
        ValueError: it is one.
    """
    counts = hidden.sum(dim=1)
    if (counts != counts[0]).any() or counts[0] == hidden.shape[1]:
        raise ValueError(
            "expected equally many hidden patches in each image, and some that are not; got "
            f"{counts.tolist()} of {hidden.shape[1]}"
        )


class MaeDecoder(nn.Module):
    """A small transformer that sees the kept tokens and a mask token in place of each other one.

    Args:
        width: channels of the encoder.
        decoder_width, depth, heads: of the decoder.
        patch: side of a patch in pixels.
        places: number of patches.
        norm_eps: of its layer norms.
    """

    def __init__(
        self,
        width: int,
        decoder_width: int,
        depth: int,
        heads: int,
        patch: int,
        places: int,
        norm_eps: float,
    ) -> None:
        super().__init__()
        norm: Any = partial(nn.LayerNorm, eps=norm_eps)
        self.patch = patch
        self.embed = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + places, decoder_width))
        self.blocks = nn.ModuleList(
            Block(decoder_width, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)
        )
        self.norm = norm(decoder_width)
        self.pred = nn.Linear(decoder_width, 3 * patch**2)

    def forward(self, features: Tensor, hidden: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the image (B,3,h*patch,w*patch).

        Args:
            features: (B,1+kept,C): class token and kept tokens in raster order.
            hidden: (B,N) bool, the places that are not among them.
            grid: (h,w), N = h*w.
        """
        embedded = self.embed(features)
        places = self.mask_token.to(embedded.dtype).expand(*hidden.shape, -1)
        # Kept tokens and free places are both in raster order, so a mask is enough to match them.
        places = places.masked_scatter(~hidden.unsqueeze(-1), embedded[:, 1:])
        tokens = torch.cat([embedded[:, :1], places], dim=1) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return self._to_image(self.pred(self.norm(tokens))[:, 1:], grid)

    def _to_image(self, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
        """Put patches (B,N,p*p*3), colour last, in their places."""
        blocks = pixels.view(len(pixels), *grid, self.patch, self.patch, 3)
        return blocks.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
