"""From figures of images to rows with standard errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.analysis.rows import Found, Row, row
from harness.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from harness.analysis.attention.conventions.contract import Convention, Figures, Heads

_RELATIVE = ("distance_relative", "entropy_relative")
"""Not defined where every query has but one allowed key."""


class Block:
    """The figures of one block, as they come.

    Of pairs of heads only sums are kept, and the mean over pairs of every image.

    Attributes:
        number, stage: of the block.
        single: True if there are no pairs, because there is one head.
    """

    def __init__(self, number: int, stage: int) -> None:
        self.number, self.stage, self.single = number, stage, False
        self._heads: dict[str, list[Tensor]] = {}
        self._images: dict[str, list[Tensor]] = {}
        self._sums: dict[str, Tensor] = {}

    def add(self, figures: Figures) -> None:
        """Add some images."""
        for name, values in figures.heads.items():
            self._heads.setdefault(name, []).append(values)
        for name, values in figures.block.items():
            self._images.setdefault(name, []).append(values)
        for name, values in figures.pairs.items():
            if values.shape[1] == 1:
                self.single = True
            else:
                self._images.setdefault(name, []).append(_over_pairs(values))
                sums = torch.stack([values.sum(dim=0), values.square().sum(dim=0)])
                self._sums[name] = self._sums[name] + sums if name in self._sums else sums

    def heads(self) -> dict[str, NDArray[np.float64]]:
        """Return (n,heads) by measure."""
        return {name: torch.cat(values).cpu().numpy() for name, values in self._heads.items()}

    def images(self) -> dict[str, NDArray[np.float64]]:
        """Return (n,) by measure: of the whole block, and the mean over ordered pairs of heads."""
        return {name: torch.cat(values).cpu().numpy() for name, values in self._images.items()}

    def pairs(self, name: str, n: int) -> Iterator[tuple[int, int, float, float | None]]:
        """Yield head, other head, mean and standard error over n images, of ordered pairs."""
        if name not in self._sums:
            return
        means, squares = (self._sums[name] / n).cpu().numpy()
        errors = np.sqrt((squares - means**2).clip(min=0) / (n - 1)) if n > 1 else None
        for head, other in np.argwhere(~np.eye(len(means), dtype=bool)).tolist():
            error = None if errors is None else float(errors[head, other])
            yield head, other, float(means[head, other]), error


def found_in(blocks: Sequence[Block], way: Convention) -> Found:
    """Return the rows of all blocks, the values of every image, and what must be said of them.

    Raises:
        UserError: attention that is not finite.
    """
    raw = [block.heads() for block in blocks]
    heads = [way.finished(each) for each in raw]
    images = [block.images() for block in blocks]
    for block, each in zip(blocks, heads, strict=True):
        _check_finite(block, each)
    rows = tuple(
        each
        for block, of_heads, of_images in zip(blocks, heads, images, strict=True)
        for each in _rows(block, of_heads, of_images)
    )
    by_image = _stacked(heads) | _stacked(images)
    notes = (*way.notes(raw), *_left_out(blocks, heads))
    return Found(rows, {f"attention.{k}": v for k, v in by_image.items()}, notes)


def _check_finite(block: Block, heads: Heads) -> None:
    for name, values in heads.items():
        if name not in _RELATIVE and not np.isfinite(values).all():
            raise UserError(
                f"the attention of block {block.number} is not finite; look at the images and at "
                "the encoder's file"
            )


def _rows(block: Block, heads: Heads, images: Heads) -> Iterator[Row]:
    where = {"block": block.number, "stage": block.stage}
    for name, values in heads.items():
        if np.isnan(values).any():
            continue
        n = len(values)
        for head, of_images in enumerate(values.T):
            mean, error = _mean(of_images)
            yield row(f"attention.{name}", mean, n, error=error, head=head, **where)
        mean, error = _mean(values.mean(axis=1))
        yield row(f"attention.{name}", mean, n, error=error, **where)
    for name, values in images.items():
        n = len(values)
        for head, other, mean, error in block.pairs(name, n):
            pair = {"head": head, "other_head": other}
            yield row(f"attention.{name}", mean, n, error=error, **pair, **where)
        mean, error = _mean(values)
        yield row(f"attention.{name}", mean, n, error=error, **where)


def _mean(values: NDArray[np.float64]) -> tuple[float, float | None]:
    """Return the mean over images and its standard error; None of a single image."""
    n = len(values)
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else None


def _stacked(blocks: Sequence[Heads]) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of all blocks, (n,blocks,...) by measure; NaN where a block has none."""
    found = {}
    for name in {name: None for block in blocks for name in block}:
        have = [block[name] for block in blocks if name in block]
        shape = [len(blocks), *np.max([values.shape for values in have], axis=0)]
        stacked = np.full(shape, np.nan)
        for place, block in enumerate(blocks):
            if name in block:
                values = block[name]
                stacked[place][tuple(map(slice, values.shape))] = values
        found[name] = stacked.swapaxes(0, 1)
    return found


def _left_out(blocks: Sequence[Block], heads: Sequence[Heads]) -> Iterator[str]:
    for name in _RELATIVE:
        where = [
            str(block.number)
            for block, each in zip(blocks, heads, strict=True)
            if name in each and np.isnan(each[name]).any()
        ]
        if where:
            yield (
                f"{name} is left out in block {', '.join(where)}: every query has one allowed key."
            )
    single = [str(block.number) for block in blocks if block.single]
    if single:
        yield f"There are no pairs of heads in block {', '.join(single)}: it has one head."


def _over_pairs(values: Tensor) -> Tensor:
    """Return (B,): the mean of (B,heads,heads) over i != j."""
    other = ~torch.eye(values.shape[1], dtype=torch.bool, device=values.device)
    return values[:, other].mean(dim=1)
