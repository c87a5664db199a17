"""Measures of whole blocks: a panel a measure, a line an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.analysis.captions import CAPTIONS
from harness.analysis.figures.sheet import (
    BARS,
    COLOURS,
    MANY,
    extent,
    framed,
    half_widths,
    image_numbers,
    left_out,
    limits,
    panel_size,
    sheets,
    style,
)
from harness.analysis.inspected import borders
from tasks.figures import FAINT, SMALL, text_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.analysis.figures.sheet import Sheet
    from harness.analysis.inspected import Columns, Inspected


class Group(NamedTuple):
    """Measures that share a page.

    Attributes:
        heading: of the page.
        measures: a panel each.
        peaks: whether the best block of each line is marked.
    """

    heading: str
    measures: tuple[str, ...]
    peaks: bool = False


GROUPS = {
    "attention-diversity": Group("Diversity of heads", ("attention.kl", "attention.js")),
    "similarity-spread": Group(
        "Spread of the features", ("similarity.effective_rank", "similarity.uniformity")
    ),
    "spectrum-high-frequency": Group("High-frequency score", ("spectrum.high_frequency",)),
    "probe": Group(
        "Probes of every block", ("probe.knn", "probe.linear", "probe.depth", "probe.pose"), True
    ),
}
"""File -> what is on its page."""


def draw(inspected: Sequence[Inspected], group: Group) -> list[Sheet]:
    """Pages without limit, none if there are no rows; lines look alike on every page."""
    lines = {m: [one.by_block(m) for one in inspected] for m in group.measures}
    blind = {m: [r.value for one in inspected for r in one.rows(f"{m}_constant")] for m in lines}
    measures = [m for m, columns in lines.items() if any(map(len, columns))]
    drawn = [rows for m in measures for rows in lines[m] if len(rows)]
    if not drawn:
        return []
    size = panel_size(max(len(set(rows.blocks.tolist())) for rows in drawn), len(measures))
    if len(measures) == 3:
        size = panel_size(21, 3)
    shown = [n for n in range(len(inspected)) if any(len(lines[m][n]) for m in measures)]
    legend = {rank: inspected[rank].name for rank in shown}
    notes = _notes(group, measures, drawn)
    notes += ["Dotted: the best prediction without looking."] if any(blind.values()) else []
    names = [_title(measure) for measure in measures]
    found = sheets(group.heading, names, size, ("block, from 0", ""), notes, legend)
    for sheet in found:
        for panel in sheet.panels:
            measure = measures[panel.number]
            _panel(panel.axes, lines[measure], blind[measure], zero=not group.peaks)
            if group.peaks:
                _ring(panel.axes, lines[measure], CAPTIONS[measure].lower)
    return found


def _notes(group: Group, measures: Sequence[str], drawn: Sequence[Columns]) -> list[str]:
    bars = any(np.isfinite(rows.errors).any() for rows in drawn)
    staged = any(borders(rows.blocks, rows.stages) for rows in drawn)
    notes = [BARS] if bars else []
    notes += ["Ringed, with its number: the best block of a line."] if group.peaks else []
    notes += ["Ticks at the foot: borders of an encoder's stages."] if staged else []
    alone = len(measures) == 1
    notes += [
        CAPTIONS[m].note if alone else f"{CAPTIONS[m].heading}: {CAPTIONS[m].note}"
        for m in measures
    ]
    return [*notes, image_numbers(int(n) for rows in drawn for n in rows.n), *left_out(drawn)]


def _title(measure: str) -> str:
    """Its name, and what the values are where the name does not say it."""
    caption = CAPTIONS[measure]
    name = f" {caption.heading.lower()} "
    more = [part for part in caption.axis.split(", ") if f" {part.lower()} " not in name]
    return ", ".join([caption.heading, *more])


def _panel(axes: Axes, lines: Sequence[Columns], blind: Sequence[float], *, zero: bool) -> None:
    framed(axes)
    low, high = extent([rows for rows in lines if len(rows)])
    for value in sorted(set(blind)):
        axes.axhline(value, color=FAINT, linewidth=0.8, linestyle=":", zorder=0.6, gid="constant")
        low, high = min(low, value), max(high, value)
    foot = 0.0
    for rank, rows in enumerate(lines):
        if not len(rows):
            continue
        look = style(rank)
        if len(rows) > MANY:
            look["marker"] = ""
        axes.errorbar(
            rows.blocks,
            rows.values,
            half_widths(rows),
            gid=f"encoder-{rank}",
            elinewidth=0.7,
            **look,
        )
        places = borders(rows.blocks, rows.stages)
        for place in places:
            axes.axvline(place, foot, foot + 0.03, color=look["color"], linewidth=1.6, zorder=0.5)
        foot += 0.035 * bool(places)
    axes.set_ylim(*limits(low, high, zero))
    ends = [end for rows in lines if len(rows) for end in (rows.blocks.min(), rows.blocks.max())]
    axes.set_xlim(min(ends) - 0.5, max(ends) + 0.5)


def _ring(axes: Axes, lines: Sequence[Columns], lower: bool) -> None:
    """Mark the best blocks; the number of one that several share stands beyond the outermost."""
    sign = -1 if lower else 1
    tops: dict[int, float] = {}
    for rank, rows in enumerate(lines):
        place = best_of(rows, lower)
        if place is None:
            continue
        block, value = int(rows.blocks[place]), float(rows.values[place])
        ring: dict[str, Any] = {"markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.1}
        axes.plot(block, value, "o", color=COLOURS[rank % len(COLOURS)], gid="peak", **ring)
        tops[block] = max(value, tops.get(block, value), key=lambda v: sign * v)
    for block, top in tops.items():
        axes.annotate(
            str(block),
            (block, top),
            xytext=(0, 6 * sign),
            textcoords="offset points",
            ha="center",
            va="top" if lower else "bottom",
            **text_style(SMALL),
        )
    # Room for the numbers.
    low, high = axes.get_ylim()
    room = 0.08 * (high - low)
    axes.set_ylim(low - room * lower, high + room * (not lower))


def best_of(rows: Columns, lower: bool) -> int | None:
    """The row of the best value; None where none is finite."""
    finite = np.isfinite(rows.values)
    if not finite.any():
        return None
    signed = -rows.values if lower else rows.values
    return int(np.argmax(np.where(finite, signed, -np.inf)))
