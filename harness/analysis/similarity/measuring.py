"""Similarity of layers over many images, a minibatch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.analysis.grids import Grid, tokens
from harness.analysis.rows import Found, Row, row
from harness.analysis.similarity.cka import LEAST, Minibatches, full, gram
from harness.analysis.similarity.grams import Layers, Tokens, joined, mean_tokens
from harness.analysis.similarity.masking import hidden
from harness.analysis.similarity.rank import effective_rank, uniformity
from harness.errors import UserError

if TYPE_CHECKING:
    from backbones import Backbone
    from harness.analysis.images import Images
    from harness.console import Advance

MINIBATCH = 32
RATIO = 0.6
"""The share of an image that is hidden: SimMIM's (Xie et al. 2022, section 3.2)."""

Show = Callable[[Tensor, int], Tensor]
"""Images, and the number of the first of them -> what an encoder is shown."""


@torch.no_grad()
def measure(
    backbone: Backbone,
    images: Images,
    *,
    batch_size: int,
    device: torch.device | str,
    advance: Advance,
    minibatch: int = MINIBATCH,
) -> Found:
    """Similarity of the blocks of one encoder: of their patch tokens, without class token and
    registers.

    Rows: `similarity.cka.tokens` (all tokens and channels of an image in one row) and `.cka.pooled`
    (their mean token), of all pairs of blocks, minibatch estimator, error by leaving out each
    minibatch in turn; `.cka_full.pooled`, of all images at once, biased; `.effective_rank` and
    `.uniformity` of the mean token, one a block; `.masked.tokens` and `.masked.pooled`, of each
    block on the full images and each (other_block) on those with RATIO of their pixels hidden.

    Mean tokens are kept: 4 bytes an image, block and channel; of a minibatch all tokens are.

    Args:
        backbone: on `device`, in evaluation mode.
        images: of its input size.
        batch_size: at a time through the encoder; changes nothing but rounding.
        device: where it runs.
        advance: told of images; each is seen twice.
        minibatch: images of a minibatch, whose number belongs to the estimator; the last one has
            what is left, if that is LEAST or more.

    Raises:
        UserError: fewer than LEAST images, or an encoder that does not give its blocks.
        DataError: an image that cannot be read.
    """
    own, masks = _Pair(), _Pair()
    kept: list[list[Tensor]] = []
    unit = backbone.feature_info[-1].stride

    def masked(batch: Tensor, first: int) -> Tensor:
        return hidden(batch, first, RATIO, unit, backbone.mean, seed=0)

    layers: Layers = []
    for start, stop in _minibatches(len(images), minibatch):
        read = _Reader(images, start, stop, batch_size, device, advance)
        layers, covered = read(backbone), read(backbone, masked)
        own.add(layers)
        masks.add(layers, covered)
        kept.append([each.cpu() for each in mean_tokens(layers)])
    pooled = [torch.cat(each) for each in zip(*kept, strict=True)]
    n = len(pooled[0])
    grids = [grid for _, grid in layers]
    rows = [
        *own.rows("similarity.cka", grids, n),
        *_pairs("similarity.cka_full.pooled", full(pooled), None, grids, n),
        *masks.rows("similarity.masked", grids, n),
    ]
    for block, (features, grid) in enumerate(zip(pooled, grids, strict=True)):
        for name, figure in (("effective_rank", effective_rank), ("uniformity", uniformity)):
            value = figure(features)
            rows.append(row(f"similarity.{name}", value, n, block=block, stage=grid.stage))
    return Found(tuple(rows), notes=tuple(_notes(images, minibatch, n, rows, len(grids))))


@torch.no_grad()
def between(
    first: Backbone,
    second: Backbone,
    images: Images,
    *,
    batch_size: int,
    device: torch.device | str,
    advance: Advance,
    minibatch: int = MINIBATCH,
    pool: bool = False,
) -> Found:
    """Similarity of each block of one encoder and each block (`other_block`) of another:
    `similarity.between.tokens` and `.between.pooled`, as `measure` does it.

    Args:
        first, second: encoders of one input size.
        pool: where the grids of two blocks differ, whether both are averaged to the coarser one.

    Raises:
        UserError: grids that differ, without `pool`; or as `measure`.
        DataError: an image that cannot be read.
    """
    found = _Pair()
    mine: Layers = []
    theirs: Layers = []
    n = 0
    for start, stop in _minibatches(len(images), minibatch):
        read = _Reader(images, start, stop, batch_size, device, advance)
        mine, theirs = read(first), read(second)
        if not pool:
            _require_one_grid(first, second, mine, theirs)
        found.add(mine, theirs)
        n += stop - start
    grids = [grid for _, grid in mine]
    rows = found.rows("similarity.between", grids, n)
    return Found(tuple(rows), notes=tuple(_notes(images, minibatch, n, rows, 0)))


class _Pair:
    """Both forms of features that are compared."""

    def __init__(self) -> None:
        self.tokens, self.pooled = Tokens(), Minibatches()

    def add(self, first: Layers, second: Layers | None = None) -> None:
        self.tokens.add(first, second)
        grams = [gram(each) for each in mean_tokens(first)]
        others = None if second is None else [gram(each) for each in mean_tokens(second)]
        self.pooled.add(grams, others)

    def rows(self, name: str, grids: Sequence[Grid], n: int) -> list[Row]:
        pooled, error = self.pooled.estimate()
        errors = None if error is None else torch.from_numpy(error)
        return [
            *_pairs(f"{name}.tokens", *self.tokens.estimate(), grids, n),
            *_pairs(f"{name}.pooled", torch.from_numpy(pooled), errors, grids, n),
        ]


class _Reader:
    """The tokens of the images of a minibatch, read once whatever is shown to whom."""

    def __init__(
        self,
        images: Images,
        start: int,
        stop: int,
        batch_size: int,
        device: torch.device | str,
        advance: Advance,
    ) -> None:
        self.advance = advance
        starts = range(start, stop, batch_size)
        self.parts = [(s, images.batch(s, min(s + batch_size, stop)).to(device)) for s in starts]

    def __call__(self, backbone: Backbone, show: Show | None = None) -> Layers:
        found = []
        for first, batch in self.parts:
            found.append(tokens(backbone, batch if show is None else show(batch, first)))
            self.advance(len(batch))
        return joined(found)


def _minibatches(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Where each minibatch begins and ends; what is left is one if that is LEAST or more."""
    if count < LEAST or size < LEAST:
        raise UserError(
            f"the unbiased estimator of similarity needs {LEAST} images or more in a minibatch; "
            f"there are {count} images in minibatches of {size}: ask for more with --n"
        )
    for start in range(0, count, size):
        stop = min(start + size, count)
        if stop - start >= LEAST:
            yield start, stop


def _require_one_grid(first: Backbone, second: Backbone, mine: Layers, theirs: Layers) -> None:
    grids = [sorted({(g.rows, g.columns) for _, g in each}) for each in (mine, theirs)]
    if grids[0] != grids[1]:
        said = [", ".join(f"{h}x{w}" for h, w in each) for each in grids]
        raise UserError(
            f"{first.spec.name} has maps of {said[0]} cells, {second.spec.name} of {said[1]}: "
            "their tokens are compared only when averaged to the coarser grid: give --pool"
        )


def _pairs(
    name: str, values: Tensor, errors: Tensor | None, grids: Sequence[Grid], n: int
) -> list[Row]:
    """A row a pair; none for layers that do not differ between images."""
    return [
        row(
            name,
            float(value),
            n,
            error=None if errors is None else float(errors[i, j]),
            block=i,
            stage=grids[i].stage,
            other_block=j,
        )
        for i, line in enumerate(values)
        for j, value in enumerate(line)
        if value.isfinite()
    ]


def _notes(
    images: Images, minibatch: int, n: int, rows: Sequence[Row], blocks: int
) -> Iterator[str]:
    yield f"CKA is estimated from minibatches of {min(minibatch, n)} images."
    if n < len(images):
        yield f"{len(images) - n} of {len(images)} images were too few for a minibatch: left out."
    if blocks:
        yield f"Of masked images {RATIO:.0%} of the squares have the encoder's mean colour."
    if sum(each.measure == "similarity.cka.tokens" for each in rows) < blocks**2:
        yield "Blocks that do not differ between the images have no similarity."
