"""Where heads look: their mean offsets in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.analysis.figures.sheet import (
    MARKERS,
    WITH_BAR,
    Size,
    depth_bar,
    half_widths,
    image_numbers,
    left_out,
    sheets,
)
from tasks.figures import FAINT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.analysis.figures.sheet import Sheet
    from harness.analysis.inspected import Columns, Inspected

_SIDE = 2.2


class _Heads(NamedTuple):
    name: str
    across: Columns
    down: Columns


def draw(inspected: Sequence[Inspected]) -> list[Sheet]:
    """A panel an encoder, one scale for all; none if there are no rows.

    Raises:
        ValueError: heads of which one of the two coordinates is missing.
    """
    every = [
        _Heads(one.name, one.by_head("attention.offset_x"), one.by_head("attention.offset_y"))
        for one in inspected
    ]
    shown = [one for one in every if len(one.across) or len(one.down)]
    for one in shown:
        if _keys(one.across) != _keys(one.down):
            raise ValueError(f"{one.name}: offsets across and down are not of the same heads")
    if not shown:
        return []
    both = [columns for one in shown for columns in one[1:]]
    reach = 1.1 * max(_reach(columns) for columns in both) or 1.0
    notes = [
        "Dots: heads; the lighter, the earlier their block.",
        *(["Markers: stages."] if any(one.across.stages.max() for one in shown) else []),
        "Bars: 95 % intervals over images.",
        "The query is at the cross, pixels of the input go right and down.",
        image_numbers(int(n) for rows in both for n in rows.n),
        *left_out(both),
    ]
    axis = ("mean offset right, px", "mean offset down, px")
    names = [one.name for one in shown]
    size = Size(_SIDE, _SIDE, min(2, len(shown)), WITH_BAR)
    found = sheets("Mean offsets of heads", names, size, axis, notes)
    for sheet in found:
        for panel in sheet.panels:
            _panel(panel.axes, shown[panel.number], reach)
    return found


def _keys(columns: Columns) -> list[tuple[int, int]]:
    return list(zip(columns.blocks.tolist(), columns.heads.tolist(), strict=True))


def _reach(columns: Columns) -> float:
    ends = np.abs(columns.values) + np.nan_to_num(half_widths(columns))
    return float(ends[np.isfinite(ends)].max(initial=0))


def _panel(axes: Axes, heads: _Heads, reach: float) -> None:
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0.5)
    axes.axvline(0, color=FAINT, linewidth=0.6, zorder=0.5)
    blocks = heads.across.blocks
    colours = depth_bar(axes, int(blocks.min()), int(blocks.max())).to_rgba(blocks)
    axes.errorbar(
        heads.across.values,
        heads.down.values,
        half_widths(heads.down),
        half_widths(heads.across),
        fmt="none",
        ecolor=FAINT,
        elinewidth=0.5,
        alpha=0.5,
    )
    for stage in sorted(set(heads.across.stages.tolist())):
        where = heads.across.stages == stage
        axes.scatter(
            heads.across.values[where],
            heads.down.values[where],
            s=12,
            c=colours[where],
            marker=MARKERS[stage % len(MARKERS)],
            linewidths=0.3,
            edgecolors=FAINT,
            zorder=3,
            gid=f"heads-{stage}",
        )
    axes.set_xlim(-reach, reach)
    axes.set_ylim(reach, -reach)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(FAINT)
