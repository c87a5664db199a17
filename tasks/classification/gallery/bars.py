"""A figure for each class as sorted bars; of many classes both ends and how all are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.figures import BAR, FAINT, INK, NORMAL, Page, text_style

if TYPE_CHECKING:
    from PIL.Image import Image

    from tasks.classification.gallery.names import Names

IN_A_COLUMN = 40
COLUMNS = 3

_COLUMN, _NAME, _SIZE = 3.7, 1.55, 0.5
_ROW, _HEAD, _NARROWEST = 0.19, 0.25, 6.5
_BINS = 20


@dataclass(frozen=True)
class Bar:
    """A class's figure with its 95 % interval and the number of samples behind it."""

    number: int
    value: float
    low: float
    high: float
    n: int


def bars(
    found: Sequence[Bar], names: Names, heading: str, figure: str, title: str, notes: Sequence[str]
) -> Image:
    """All classes, or of more than `COLUMNS * IN_A_COLUMN` the first and last ones.

    Args:
        found: sorted.
        figure: what the bars are, from 0 to 1.
        notes: what the lines and `n` are, and what else is to be said.
    """
    columns = -(-len(found) // IN_A_COLUMN)
    parts = [found[IN_A_COLUMN * k :][:IN_A_COLUMN] for k in range(columns)]
    heads = [""] * columns
    above, said = 0.0, [*notes]
    if columns > COLUMNS:
        above = _HEAD
        parts = [found[:IN_A_COLUMN], found[-IN_A_COLUMN:]]
        heads = [f"the {IN_A_COLUMN} lowest", f"the {IN_A_COLUMN} highest"]
        between = len(found) - 2 * IN_A_COLUMN
        said.append(f"{between} classes in between are left out; they are in classes.csv.")
    height = above + max(map(len, parts)) * _ROW
    count = len(parts) + (columns > COLUMNS)
    width = max(_COLUMN, _NARROWEST / count)
    page = Page(heading, title, (count * width, height + 0.4), said)
    for place, (part, head) in enumerate(zip(parts, heads, strict=True)):
        page.text(place * width, 0.1, head, NORMAL)
        _column(page, (place * width, above), width, part, names, figure)
    if columns > COLUMNS:
        _spread(page, len(parts) * width, height, found, figure)
    return page.image()


def _column(
    page: Page,
    corner: tuple[float, float],
    width: float,
    part: Sequence[Bar],
    names: Names,
    figure: str,
) -> None:
    left, top = corner
    axes = page.axes(left + _NAME, top, width - _NAME - _SIZE - 0.15, len(part) * _ROW)
    places, values = range(len(part)), [bar.value for bar in part]
    sides = [[bar.value - bar.low for bar in part], [bar.high - bar.value for bar in part]]
    lines = {"ecolor": INK, "elinewidth": 0.8}
    axes.barh(places, values, height=0.7, color=BAR, alpha=0.6, xerr=sides, error_kw=lines)
    labels = [names.short(bar.number, _NAME - 0.1) for bar in part]
    axes.set_yticks(places, labels, **text_style())
    axes.set_ylim(len(part) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xticks((0, 0.5, 1))
    for place, bar in enumerate(part):
        axes.annotate(
            f"n={bar.n}",
            (1, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            **text_style(colour=FAINT),
        )
    axes.set_xlabel(figure, **text_style())


def _spread(page: Page, left: float, height: float, found: Sequence[Bar], figure: str) -> None:
    from matplotlib.ticker import MaxNLocator

    page.text(left, 0.1, f"all {len(found)} classes", NORMAL)
    axes = page.axes(left + 0.5, _HEAD, _COLUMN - 0.6, min(height - _HEAD, 3.0))
    values = [bar.value for bar in found]
    axes.hist(values, bins=[k / _BINS for k in range(_BINS + 1)], color=BAR, alpha=0.6)
    axes.set_xlim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(figure, **text_style())
    axes.set_ylabel("classes", **text_style())
    middle = float(np.median(values))
    over: dict[str, Any] = {"transform": axes.get_xaxis_transform()}
    axes.axvline(middle, color=INK, linewidth=0.8)
    axes.text(middle, 1, f"median {middle:.3f} ", ha="right", va="top", **text_style(), **over)
