"""What the figures share: pages of equal panels, colours, lines and error bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from tasks.figures import FAINT, INK, NORMAL, SMALL, Page, shortened, text_style

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from harness.analysis.inspected import Columns, Spectrum

    Floats = NDArray[np.float64]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's palette without yellow, which is too light for a line."""
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")
"""Numbers of colours, lines and markers have no common factor: 140 encoders look different."""
BORDER: dict[str, Any] = {"color": FAINT, "linewidth": 0.6, "linestyle": (0, (4, 3)), "zorder": 0.5}
"""How the border of a stage is drawn."""
BARS = "Bars: 95 % intervals over images."
DEPTH = "cividis_r"
"""Map of blocks from the first (light) to the last (dark), made for the colour-blind."""

WITH_BAR = 0.42
"""Inches that a panel with a colour bar keeps free at its right."""

NO_LEGEND: Mapping[int, str] = MappingProxyType({})

_LEFT, _BELOW, _TITLE = 0.46, 0.4, 0.22
MANY = 48
"""Blocks from which on a panel is as wide as the page and its marks are small."""

_TALLEST = 8.6
_LEGEND = 0.17


class Size(NamedTuple):
    """Of panels: inches across and down, how many stand side by side, inches free at the right."""

    width: float
    height: float
    columns: int
    right: float = 0.14


class Panel(NamedTuple):
    """Axes and what they are of: the number of the encoder, or of the measure."""

    number: int
    axes: Axes


class Sheet(NamedTuple):
    """A page and its panels."""

    page: Page
    panels: list[Panel]


def panel_size(blocks: int, panels: int) -> Size:
    """Panels wide enough for their blocks; with them pages are 7 inches wide, as a paper's text."""
    if blocks > MANY:
        return Size(5.9, 1.9, 1)
    if blocks > 20 or panels in (2, 4):
        return Size(2.65, 1.9, min(2, panels))
    return Size(3.9, 2.3, 1) if panels == 1 else Size(1.56, 1.6, 3)


def sheets(
    heading: str,
    names: Sequence[str],
    size: Size,
    axis: tuple[str, str],
    notes: Sequence[str],
    legend: Mapping[int, str] = NO_LEGEND,
) -> list[Sheet]:
    """Pages with a panel a name, as many as it takes.

    Args:
        axis: what goes across, and what goes up, said at the outer panels alone.
        legend: number -> name of what has a line of its own, on every page.
    """
    rows = max(1, int(_TALLEST / (size.height + _TITLE + _BELOW)))
    most = rows * size.columns
    numbers = list(range(len(names)))
    return [
        _sheet(heading, [(n, names[n]) for n in numbers[at : at + most]], size, axis, notes, legend)
        for at in range(0, len(numbers), most)
    ]


def _sheet(
    heading: str,
    names: Sequence[tuple[int, str]],
    size: Size,
    axis: tuple[str, str],
    notes: Sequence[str],
    legend: Mapping[int, str],
) -> Sheet:
    columns, rows = min(size.columns, len(names)), -(-len(names) // size.columns)
    across, down = _LEFT + size.width + size.right, size.height + _TITLE + _BELOW
    width, height = columns * across, rows * down + _LEGEND * len(legend)
    page = Page(heading, "", (max(width, 3.4), height), notes)
    panels = []
    for place, (number, name) in enumerate(names):
        column, row = place % columns, place // columns
        left, top = column * across + _LEFT, row * down + _TITLE
        axes = page.axes(left, top, size.width, size.height)
        axes.set_title(
            shortened(name, size.width - (size.right - 0.14), NORMAL),
            loc="left",
            **text_style(NORMAL),
        )
        if place + columns >= len(names):
            axes.set_xlabel(axis[0], **text_style(SMALL))
        if column == 0:
            axes.set_ylabel(axis[1], **text_style(SMALL))
        panels.append(Panel(number, axes))
    for place, (rank, name) in enumerate(legend.items()):
        _entry(page, rank, name, rows * down + _LEGEND * place, max(width, 3.4))
    return Sheet(page, panels)


def _entry(page: Page, rank: int, name: str, top: float, width: float) -> None:
    """A line of the legend."""
    axes = page.axes(_LEFT, top, 0.45, _LEGEND)
    axes.plot([0, 0.5, 1], [0.5] * 3, markevery=[1], **style(rank))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    page.text(_LEFT + 0.55, top + 0.12, shortened(name, width - _LEFT - 0.55, NORMAL), NORMAL)


def style(rank: int) -> dict[str, Any]:
    """The line of an encoder: colour, dashes and marker differ, for print without colour."""
    return {
        "color": COLOURS[rank % len(COLOURS)],
        "linestyle": LINES[rank % len(LINES)],
        "marker": MARKERS[rank % len(MARKERS)],
        "linewidth": 1.2,
        "markersize": 3.2,
    }


def framed(axes: Axes) -> None:
    """Lines at the left and below, a faint grid, whole numbers across."""
    from matplotlib.ticker import MaxNLocator

    axes.spines[["left", "bottom"]].set_visible(True)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def limits(lowest: float, highest: float, zero: bool = True) -> tuple[float, float]:
    """Ends of an axis with some room; from 0 where that is asked for and nothing is below."""
    room = (highest - lowest) * 0.06 or abs(highest) * 0.1 or 1.0
    if zero and lowest >= 0:
        return 0.0, highest + max(room, highest * 0.06)
    return lowest - room, highest + room


def half_widths(rows: Columns | Spectrum) -> Floats:
    """Half of the 95 % interval of each row, NaN where no error is known."""
    import numpy as np

    from results.components import Part, half_width

    known = zip(rows.errors.tolist(), rows.n.tolist(), strict=True)
    return np.array(
        [half_width([Part(e**2, n - 1)]) if n > 1 and np.isfinite(e) else np.nan for e, n in known]
    )


def extent(columns: Sequence[Columns]) -> tuple[float, float]:
    """The lowest and highest ends of the intervals of all rows; 0 and 0 of none."""
    import numpy as np

    ends = [
        rows.values + sign * np.nan_to_num(half_widths(rows))
        for rows in columns
        for sign in (-1, 1)
    ]
    drawn = np.concatenate([[], *ends])
    drawn = drawn[np.isfinite(drawn)]
    return (float(drawn.min()), float(drawn.max())) if len(drawn) else (0.0, 0.0)


def left_out(columns: Sequence[Columns]) -> list[str]:
    """A sentence on what has no place, if anything has none."""
    import numpy as np

    missing = sum(int((~np.isfinite(rows.values)).sum()) for rows in columns)
    return [f"Not drawn, as they are not finite: {missing} values."] if missing else []


def image_numbers(counts: Iterable[int]) -> str:
    """How many images the values rest on."""
    numbers = sorted(set(counts))
    return f"Images: {' to '.join(str(n) for n in dict.fromkeys((numbers[0], numbers[-1])))}."


def depth_bar(axes: Axes, first: int, last: int) -> ScalarMappable:
    """A bar of the colours of blocks at the right of a panel, if there are several; gives the
    colours.

    They begin a fifth up the map, whose lightest end is too light for a dot or line.
    """
    scale = Normalize(first - 0.25 * max(1, last - first), last)
    colours = ScalarMappable(scale, DEPTH)
    if first < last:
        bar = colour_bar(axes, colours, sorted({first, (first + last) // 2, last}), "block")
        bar.set_ylim(first, last)
    return colours


def colour_bar(axes: Axes, colours: ScalarMappable, ticks: Sequence[float], title: str) -> Axes:
    """A bar at the right of a panel."""
    bar = axes.inset_axes((1.03, 0, 0.03, 1))
    axes.figure.colorbar(colours, cax=bar, ticks=list(ticks))
    bar.set_title(title, **text_style(SMALL))
    bar.tick_params(length=2, labelsize=SMALL)
    bar.spines[:].set_visible(False)
    return bar


INKED: dict[str, Any] = {"color": INK, "linewidth": 1.2}
"""A line that is no encoder's."""
