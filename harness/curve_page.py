"""The page of two encoders' curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.figures import FAINT, NORMAL, SMALL, Page, text_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

    from harness.curves import Curves
    from results.curves import Curve, Term

COLOURS = ("#0072B2", "#D55E00")
"""Blue and vermilion of Okabe and Ito's palette; one is solid, the other dashed."""
LINES = ("-", "--")
_WIDTH, _HEIGHT, _COLUMNS = 2.5, 1.7, 3


def page(found: Curves) -> Image:
    """A panel a term: the mean over seeds as a line, held-out samples as dots, each seed faint."""
    names = list(dict.fromkeys(term.name for term in found.terms))
    columns, rows = min(_COLUMNS, len(names)), -(-len(names) // _COLUMNS)
    size = (columns * (_WIDTH + 0.6), rows * (_HEIGHT + 0.6) + 0.1)
    title = f"{found.a} (solid, blue) and {found.b} (dashed, vermilion), seeds {found.listed}"
    notes = (
        "Lines: means over equal parts of the training; dots: held-out samples, without gradient.",
        "Faint: single seeds. Across: share of the training.",
    )
    drawn = Page("Terms of the loss", title, size, notes)
    for number, name in enumerate(names):
        left = (number % _COLUMNS) * (_WIDTH + 0.6) + 0.4
        top = (number // _COLUMNS) * (_HEIGHT + 0.6) + 0.25
        axes = drawn.axes(left, top, _WIDTH, _HEIGHT)
        axes.set_title(name, loc="left", **text_style(NORMAL))
        for term in (term for term in found.terms if term.name == name):
            _panel(axes, term)
        axes.set_xlim(0, 1)
        axes.spines["left"].set_visible(True)
        axes.spines["bottom"].set_visible(True)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(labelsize=SMALL)
    return drawn.image()


def _panel(axes: Axes, term: Term) -> None:
    for side, colour, line in zip(term.curves, COLOURS, LINES, strict=True):
        for curve in side:
            _draw(axes, term, curve, colour, line, 0.25, 0.7)
        _draw(axes, term, _mean(side), colour, line, 1.0, 1.5)


def _draw(
    axes: Axes, term: Term, curve: Curve, colour: str, line: str, alpha: float, width: float
) -> None:
    starts = (0.0, *curve.ends[:-1])
    if term.split == "training":
        middles = [(a + b) / 2 for a, b in zip(starts, curve.ends, strict=True)]
        axes.plot(middles, curve.values, line, color=colour, alpha=alpha, linewidth=width)
    elif alpha == 1.0:
        axes.plot(curve.ends, curve.values, "o", color=colour, markersize=2.5)


def _mean(curves: tuple[Curve, ...]) -> Curve:
    from results.curves import Curve

    columns = zip(*(curve.values for curve in curves), strict=True)
    return Curve(curves[0].ends, tuple(sum(column) / len(column) for column in columns))
