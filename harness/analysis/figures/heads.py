"""The classic dot plot: a measure of attention by block, a dot a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.analysis.captions import CAPTIONS
from harness.analysis.figures.sheet import (
    BARS,
    BORDER,
    COLOURS,
    INKED,
    MANY,
    extent,
    framed,
    half_widths,
    image_numbers,
    left_out,
    limits,
    panel_size,
    sheets,
)
from harness.analysis.inspected import borders
from tasks.figures import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.analysis.figures.sheet import Sheet
    from harness.analysis.inspected import Columns, Inspected

MEASURES = (
    "attention.distance",
    "attention.distance_relative",
    "attention.entropy",
    "attention.entropy_relative",
    "attention.nmi",
    "attention.prefix_mass",
    "attention.offset",
)
_SPREAD = 0.3
"""How far, in blocks, the first and the last head stand from the middle of theirs."""


def draw(inspected: Sequence[Inspected], measure: str) -> list[Sheet]:
    """A panel an encoder, all of one height; pages without limit, none if there are no rows."""
    numbered = [(n, one, one.by_head(measure)) for n, one in enumerate(inspected)]
    shown = [(n, one, heads) for n, one, heads in numbered if len(heads)]
    if not shown:
        return []
    caption, drawn = CAPTIONS[measure], [heads for _, _, heads in shown]
    low, high = limits(*extent(drawn))
    notes = [
        "Dots: heads. Line: their mean.",
        BARS,
        caption.note,
        image_numbers(int(n) for rows in drawn for n in rows.n),
    ]
    notes += _more(drawn, caption.one) + left_out(drawn)
    size = panel_size(max(len(set(heads.blocks.tolist())) for heads in drawn), len(shown))
    names = [one.name for _, one, _ in shown]
    found = sheets(caption.heading, names, size, ("block, from 0", caption.axis), notes)
    for sheet in found:
        for panel in sheet.panels:
            number, one, heads = shown[panel.number]
            if caption.one and low <= 1 <= high:
                panel.axes.axhline(1, color=FAINT, linewidth=0.8, linestyle=":", zorder=0.6)
            _panel(panel.axes, heads, one.by_block(measure), COLOURS[number % len(COLOURS)])
            panel.axes.set_ylim(low, high)
    return found


def _more(drawn: Sequence[Columns], one: bool) -> list[str]:
    staged = any(borders(heads.blocks, heads.stages) for heads in drawn)
    uniform = ["Dotted: uniform attention."] if one else []
    return uniform + (["Dashed: borders of stages."] if staged else [])


def _panel(axes: Axes, heads: Columns, means: Columns, colour: str) -> None:
    framed(axes)
    for place in borders(heads.blocks, heads.stages):
        axes.axvline(place, **BORDER)
    across = heads.blocks + _spread(heads)
    many = len(set(heads.blocks.tolist())) > MANY
    axes.errorbar(
        across,
        heads.values,
        half_widths(heads),
        fmt="none",
        ecolor=colour,
        elinewidth=0.6,
        alpha=0.7,
    )
    marks: dict[str, Any] = {"markersize": 1.6 if many else 2.6, "alpha": 0.8, "markeredgewidth": 0}
    axes.plot(across, heads.values, "o", color=colour, gid="heads", **marks)
    dot: dict[str, Any] = {
        "marker": "D",
        "markersize": 2.4,
        "markerfacecolor": "white",
        "markeredgecolor": INK,
    }
    axes.plot(means.blocks, means.values, gid="means", **(INKED if many else INKED | dot))
    axes.set_xlim(heads.blocks.min() - 0.6, heads.blocks.max() + 0.6)


def _spread(heads: Columns) -> list[float]:
    """Heads stand side by side in the order of their numbers, so that bars do not hide another."""
    last = {
        block: max(heads.heads[heads.blocks == block].tolist())
        for block in set(heads.blocks.tolist())
    }
    pairs = zip(heads.blocks.tolist(), heads.heads.tolist(), strict=True)
    return [_SPREAD * (2 * head / last[block] - 1) if last[block] else 0.0 for block, head in pairs]
