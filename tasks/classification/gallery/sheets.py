"""Sheets of images with words below each, in strips that may have a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.figures import NORMAL, Page, shortened

if TYPE_CHECKING:
    from PIL.Image import Image

    from tasks.contract import TaskDataset

ACROSS = 6
SIDE = 1.45
"""Inches of an image, and of the lines below it."""

_GAP, _LINE, _HEAD = 0.12, 0.13, 0.24
WIDTH = ACROSS * (SIDE + _GAP) - _GAP


@dataclass(frozen=True)
class Tile:
    """A sample and the lines below it."""

    sample: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Strip:
    """At most `ACROSS` images side by side."""

    tiles: tuple[Tile, ...]
    head: str = ""


def strips(tiles: Sequence[Tile]) -> list[Strip]:
    """Tiles in lines of `ACROSS`."""
    return [Strip(tuple(tiles[k : k + ACROSS])) for k in range(0, len(tiles), ACROSS)]


def sheet(
    found: Sequence[Strip], dataset: TaskDataset, heading: str, title: str, notes: Sequence[str]
) -> Image:
    """The images as evaluation sees them."""
    heights = [_height(strip) for strip in found]
    page = Page(heading, title, (WIDTH, sum(heights)), notes)
    top = 0.0
    for strip, height in zip(found, heights, strict=True):
        if strip.head:
            page.text(0, top + _HEAD - 0.08, shortened(strip.head, WIDTH, NORMAL), NORMAL)
        _tiles(page, strip, top + (_HEAD if strip.head else 0), dataset)
        top += height
    return page.image()


def _height(strip: Strip) -> float:
    lines = max(len(tile.lines) for tile in strip.tiles)
    return (_HEAD if strip.head else 0) + SIDE + _LINE * lines + 2 * _GAP


def _tiles(page: Page, strip: Strip, top: float, dataset: TaskDataset) -> None:
    for place, tile in enumerate(strip.tiles):
        left = place * (SIDE + _GAP)
        pixels = dataset.item(tile.sample, None)["image"].transpose(1, 2, 0)
        page.picture(pixels, left, top, SIDE)
        for number, line in enumerate(tile.lines):
            base = top + SIDE + _LINE * (number + 0.9)
            page.text(left, base, shortened(line, SIDE))
