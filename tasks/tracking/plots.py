"""Success and precision plots of several runs, as papers draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tasks.figures import FAINT, NORMAL, Page, shortened, text_style
from tasks.tracking.metrics import tracks_of
from tasks.tracking.scoring.conventions import PRIMARY, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from tasks.contract import Row

    Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """A share of frames over a threshold.

    Attributes:
        heading: of the plot.
        across: what the threshold is of.
        thresholds: (K,) ascending.
        values: (K,) shares in [0,1].
        score: the figure that ranks.
        scored: what that is.
        rule: whose shares they are, or of what.
    """

    heading: str
    across: str
    thresholds: Floats
    values: Floats
    score: float
    scored: str
    rule: str


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's palette without yellow, which is too light for a line."""
LINES = ("-", "--", "-.", ":")
"""One after the other as well, so that lines are told apart in black and white."""
_WIDTH, _HEIGHT, _LEFT = 3.4, 2.6, 0.5
_ROW = 0.17


def plots(runs: Mapping[str, Sequence[list[Row]]], dataset: Any) -> dict[str, Image]:
    """`success`, `precision` and what else the convention has: a line a name, the mean over its
    runs; the legend has the best first, with its figure.

    Args:
        runs: name -> predictions of each of its runs.

    Raises:
        DataError: rows that do not fit their sequences.
    """
    found = {name: [curves(rows, dataset) for rows in several] for name, several in runs.items()}
    first = next(iter(found.values()))[0]
    rule = next(iter(first.values())).rule
    about = f"{dataset.info.name}: {rule}; n={len(dataset.sequences)} sequences"
    return {
        stem: _page({name: [c[stem] for c in several] for name, several in found.items()}, about)
        for stem in first
    }


def _page(found: Mapping[str, Sequence[Curve]], about: str) -> Image:
    scores = {name: float(np.mean([c.score for c in each])) for name, each in found.items()}
    order = sorted(found, key=lambda name: -scores[name])
    first = found[order[0]][0]
    size = (_LEFT + _WIDTH + 0.1, _HEIGHT + 0.5 + _ROW * len(order))
    several = max(map(len, found.values()))
    notes = [f"In brackets: {first.scored}."]
    notes += ["Lines are means over runs; faint: single runs."] if several > 1 else []
    page = Page(first.heading, about, size, notes)
    axes = page.axes(_LEFT, 0.05, _WIDTH, _HEIGHT)
    for rank, name in enumerate(order):
        colour, line = COLOURS[rank % len(COLOURS)], LINES[rank % len(LINES)]
        for one in found[name] if len(found[name]) > 1 else ():
            axes.plot(one.thresholds, one.values, line, color=colour, alpha=0.3, linewidth=0.6)
        mean = np.mean([one.values for one in found[name]], axis=0)
        axes.plot(first.thresholds, mean, line, color=colour, linewidth=1.5, clip_on=False)
        _entry(page, rank, f"{name} [{scores[name]:.3f}]", colour, line)
    axes.set_xlim(float(first.thresholds[0]), float(first.thresholds[-1]))
    axes.set_ylim(0, 1)
    axes.grid(color="#DDDDDD", linewidth=0.5)
    axes.spines[["left", "bottom"]].set_visible(True)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.set_xlabel(first.across, **text_style(NORMAL))
    axes.set_ylabel("share of frames", **text_style(NORMAL))
    return page.image()


def _entry(page: Page, rank: int, words: str, colour: str, line: str) -> None:
    """A line of the legend, below the plot: names may be long."""
    top = _HEIGHT + 0.5 + _ROW * rank
    axes = page.axes(_LEFT, top, 0.4, _ROW)
    axes.plot([0, 1], [0.5, 0.5], line, color=colour, linewidth=1.5)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    page.text(_LEFT + 0.5, top + 0.12, shortened(words, _WIDTH - 0.5, NORMAL), NORMAL)


_ACROSS = {
    "success": "overlap threshold",
    "precision": "centre error, pixels",
    "normalised precision": "centre error, sides of the target",
}

_FIGURES = {"precision": ("P", "precision"), "normalised precision": ("NP", "normalized precision")}
"""Curve -> what its figure is called, under the one convention or the other."""


def curves(rows: list[Row], dataset: Any) -> dict[str, Curve]:
    """The curves of a run by the convention of the recipe, by the names of their plots.

    Raises:
        DataError: as `tasks.tracking.metrics.evaluate`.
    """
    measure = dataset.recipe.measure
    name = dataset.recipe.data.name
    found = score(tracks_of(rows, dataset), measure.convention, name, measure.valid_only)
    drawn: dict[str, Curve] = {}
    for stem, curve in found.curves.items():
        names = {"success": (PRIMARY[measure.convention],)}.get(stem, _FIGURES.get(stem, ()))
        ranks = next(each for each in names if each in found.figures)
        drawn[stem.replace(" ", "-")] = Curve(
            stem.capitalize(),
            _ACROSS[stem],
            curve.thresholds,
            curve.ratio.overall(),
            float(found.figures[ranks].overall()),
            ranks,
            f"convention {measure.convention}",
        )
    return drawn
