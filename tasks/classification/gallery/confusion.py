"""The confusion matrix; of many classes the most frequent confusions as a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.figures import BAR, FAINT, SHARES, SMALL, Page, text_style, width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

    from tasks.classification.gallery.names import Names
    from tasks.classification.gallery.tally import Tally

MATRIX_AT_MOST = 30
"""Classes of which a matrix can be read."""
LISTED = 30

_NAME, _PAIR = 1.6, 3.9
_ROW = 0.21


def confusion(tally: Tally, names: Names, title: str) -> Image | None:
    """The matrix of up to `MATRIX_AT_MOST` classes, else a list; None where there is nothing to
    list."""
    if tally.classes <= MATRIX_AT_MOST:
        return _matrix(tally, names, title)
    return _list(tally, names, title) if tally.pairs else None


def letters(share: float) -> str:
    """The colour of what is written on the colour of a share."""
    return "white" if share > 0.5 else "black"


def _matrix(tally: Tally, names: Names, title: str) -> Image:
    count, counts = tally.classes, tally.matrix()
    cell = min(0.8, max(0.3, 5 / count))
    side = count * cell
    notes = [
        "Rows: the true class; columns: the class that was named. Numbers are images, none where "
        "it is white; colours are shares of a row's images."
    ]
    if empty := int((tally.sizes == 0).sum()):
        notes.append(f"Classes without a test image, their rows empty: {empty}.")
    labels = [names.short(k, _NAME) for k in range(count)]
    beside = 0.15 + max(map(width, labels))
    extent = max(beside + side + 0.9, 6.5), side + beside
    page = Page("Confusion matrix", title, extent, notes)
    axes = page.axes(beside, 0, side, side)
    shares = np.full(counts.shape, np.nan)
    np.divide(counts, tally.sizes[:, None], out=shares, where=counts > 0)
    seen = axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for true, named in np.argwhere(counts):
        style = text_style(SMALL, letters(shares[true, named]))
        style |= {"ha": "center", "va": "center"}
        axes.text(named, true, str(counts[true, named]), **style)
    axes.set_xticks(range(count), labels, rotation=90, **text_style())
    axes.set_yticks(range(count), labels, **text_style())
    _grid(axes, count)
    scale = page.axes(beside + side + 0.15, 0, 0.15, side)
    bar = axes.figure.colorbar(seen, cax=scale)
    bar.outline.set_visible(False)
    scale.tick_params(length=2, labelsize=SMALL)
    return page.image()


def _grid(axes: Axes, count: int) -> None:
    lines = np.arange(count + 1) - 0.5
    axes.hlines(lines, -0.5, count - 0.5, color=FAINT, linewidth=0.3)
    axes.vlines(lines, -0.5, count - 0.5, color=FAINT, linewidth=0.3)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)


def _list(tally: Tally, names: Names, title: str) -> Image:
    from matplotlib.ticker import MaxNLocator

    shown, mistakes = tally.pairs[:LISTED], sum(pair.count for pair in tally.pairs)
    seen = sum(pair.count for pair in shown)
    notes = [
        f"The {len(shown)} most frequent of {len(tally.pairs)} confusions, {seen} of {mistakes} "
        f"mistakes; a matrix of {tally.classes} classes could not be read. Left out: "
        f"{len(tally.pairs) - len(shown)} confusions, none of more than {shown[-1].count} images."
    ]
    height = len(shown) * _ROW
    page = Page("Most frequent confusions", title, (8.5, height + 0.4), notes)
    axes = page.axes(_PAIR, 0, 8.5 - _PAIR - 1.1, height)
    places = range(len(shown))
    axes.barh(places, [pair.count for pair in shown], color=BAR, height=0.7)
    for place, pair in enumerate(shown):
        size = int(tally.sizes[pair.true])
        text = f"  {pair.count} of {size} ({100 * pair.count / size:.0f} %)"
        axes.text(pair.count, place, text, va="center", **text_style())
    room = (_PAIR - 0.4) / 2
    labels = [f"{names.short(p.true, room)} → {names.short(p.named, room)}" for p in shown]
    axes.set_yticks(places, labels, **text_style())
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("images of the first class that were named the second", **text_style())
    axes.tick_params(axis="x", colors=FAINT)
    return page.image()
