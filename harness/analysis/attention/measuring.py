"""Attention of one encoder over many images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from backbones import LoadError
from harness.analysis.attention.conventions import of_name
from harness.analysis.attention.gathering import Block, found_in
from harness.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from backbones import Backbone, WindowAttention
    from harness.analysis.images import Images
    from harness.analysis.rows import Found
    from harness.console import Advance


@torch.no_grad()
def measure(
    backbone: Backbone,
    images: Images,
    *,
    batch_size: int,
    device: torch.device | str,
    advance: Advance,
    convention: str = "rule",
) -> Found:
    """Measure the attention of every block and head.

    Rows, by convention `rule`: `attention.distance` (input pixels) and `.distance_relative`
    (divided by that of uniform attention over the allowed keys), `.entropy` (nats) and
    `.entropy_relative` (divided by ln of the allowed keys), `.nmi`, `.offset_x` (to the right),
    `.offset_y` (down) and `.offset` (the norm of the mean offset), pixels, `.prefix_mass`: one a
    head and one a block, the mean over its heads. `.kl` and `.js` (nats): one an ordered pair of
    heads and one a block, the mean over its pairs. What other conventions have says a note.

    By image: (n,blocks,heads), and (n,blocks) of pairs; NaN where a block has fewer heads.

    Args:
        backbone: on `device`, in evaluation mode.
        images: of its input size.
        batch_size: at a time through the encoder; changes nothing but rounding.
        device: where it runs.
        advance: told the number of images after each batch.
        convention: in `CONVENTIONS`.

    Raises:
        UserError: an encoder without attention, one that the convention is not defined for, an
            unknown convention, no images, attention that is not finite.
        DataError: an image that cannot be read.
    """
    way = of_name(convention)
    if len(images) == 0:
        raise UserError(f"no images in {images.name}: attention is measured on one at least")
    blocks: dict[int, Block] = {}
    for start in range(0, len(images), batch_size):
        batch = images.batch(start, min(start + batch_size, len(images))).to(device)
        for found in _attention(backbone, batch):
            block = blocks.setdefault(found.block, Block(found.block, found.stage))
            block.add(way.figures(found))
        advance(len(batch))
    return found_in(list(blocks.values()), way)


def _attention(backbone: Backbone, batch: Tensor) -> Iterator[WindowAttention]:
    try:
        return backbone.attention_in_windows(batch)
    except LoadError as error:
        raise UserError(
            f"{error} (of an encoder without attention harness inspect has the measures "
            "similarity, spectrum and probe)"
        ) from error
