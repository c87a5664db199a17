"""CKA of pairs of blocks as heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from harness.analysis.captions import CAPTIONS
from harness.analysis.figures.sheet import BORDER, WITH_BAR, Size, colour_bar, image_numbers, sheets
from harness.analysis.inspected import borders
from tasks.figures import FAINT, SHARES, SMALL, text_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.analysis.figures.sheet import Sheet
    from harness.analysis.inspected import Floats, Inspected, Matrix, Numbers

_CELL = 0.205
"""Inches that a value of two digits takes."""
_ROUNDING = 1e-9
"""What a block's CKA with itself may be above 1."""
_WRITTEN = 27
"""Blocks up to which values are written into their cells: a page is no wider."""


class _Map(NamedTuple):
    name: str
    across: str
    down: str
    matrix: Matrix


def draw(inspected: Sequence[Inspected], measure: str) -> list[Sheet]:
    """A panel an encoder or a pair, shades from 0 to 1 in all; none if there are no rows."""
    shown = [_map(one, measure) for one in inspected if one.pairs(measure).values.size]
    if not shown:
        return []
    caption = CAPTIONS[measure]
    images = image_numbers(row.n for one in inspected for row in one.rows(measure))
    found = sheets(
        caption.heading,
        [one.name for one in shown],
        _size(shown),
        ("", ""),
        [caption.note, images, *_notes(shown)],
    )
    for sheet in found:
        for panel in sheet.panels:
            _panel(panel.axes, shown[panel.number])
    return found


def _map(one: Inspected, measure: str) -> _Map:
    matrix = one.pairs(measure)
    if ".between." in measure:
        second = one.other or "second encoder"
        # Without a title, which both names are too long for: the axes have them.
        return _Map("", f"block of {second}", f"block of {one.name}", matrix)
    if ".masked." in measure:
        return _Map(one.name, "block, masked images", "block, full images", matrix)
    return _Map(one.name, "block", "block", matrix)


def _size(shown: Sequence[_Map]) -> Size:
    most = max(max(one.matrix.values.shape) for one in shown)
    side = max(1.6, min(most, _WRITTEN) * _CELL) if most <= _WRITTEN else 2.46
    columns = 2 if side <= 2.5 else 1
    return Size(side, side, min(columns, len(shown)), WITH_BAR)


def _notes(shown: Sequence[_Map]) -> list[str]:
    values = np.concatenate([one.matrix.values.ravel() for one in shown])
    outside = int(((values < 0) | (values > 1 + _ROUNDING)).sum())
    missing = int(np.isnan(values).sum())
    staged = any(borders(one.matrix.blocks, one.matrix.stages) for one in shown)
    notes = ["Dashed: borders of stages."] if staged else []
    notes += [f"Drawn as 0 or 1, being below or above: {outside} values."] if outside else []
    notes += [f"Crossed out: {missing} pairs that were not compared."] if missing else []
    return notes


def _panel(axes: Axes, one: _Map) -> None:
    matrix, scale = one.matrix, Normalize(0, 1, clip=True)
    values = matrix.values
    colours = colormaps[SHARES](scale(np.ma.masked_invalid(values)))
    colours[np.isnan(values)] = (1, 1, 1, 1)
    axes.imshow(colours, interpolation="none", aspect="auto", gid="cka")
    for row, column in zip(*np.nonzero(np.isnan(values)), strict=True):
        axes.plot(column, row, "x", color=FAINT, markersize=3, markeredgewidth=0.6)
    if max(values.shape) <= _WRITTEN:
        _write(axes, values)
    for place in _places(matrix.blocks, matrix.stages):
        axes.axhline(place, **BORDER | {"zorder": 2})
    for place in _places(matrix.others, matrix.other_stages):
        axes.axvline(place, **BORDER | {"zorder": 2})
    _number(axes, matrix)
    axes.set_xlabel(one.across, **text_style(SMALL))
    axes.set_ylabel(one.down, **text_style(SMALL))
    colour_bar(axes, ScalarMappable(scale, SHARES), [0, 0.5, 1], "CKA")


def _places(blocks: Numbers, stages: Numbers) -> list[float]:
    """Borders of stages in cells: blocks need not follow each other without a gap."""
    cells = np.arange(len(blocks))
    return borders(cells, stages)


def _write(axes: Axes, values: Floats) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        # "1.0" is as wide as ".99".
        words = f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.1f}"
        style = text_style(SMALL, "white" if value > 0.55 else "black")
        axes.text(column, row, words, ha="center", va="center", **style)


def _number(axes: Axes, matrix: Matrix) -> None:
    """The numbers of blocks; with many, of some, evenly."""
    for axis, blocks in ((axes.xaxis, matrix.others), (axes.yaxis, matrix.blocks)):
        step = -(-len(blocks) // _WRITTEN) if len(blocks) <= _WRITTEN else -(-len(blocks) // 8)
        places = np.arange(0, len(blocks), step)
        axis.set_ticks(places, [str(blocks[place]) for place in places])
