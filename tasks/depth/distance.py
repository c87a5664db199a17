"""How large errors are at which distance."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.depth.metrics import opened
from tasks.depth.protocol import mask
from tasks.figures import BAR, Page, text_style
from tasks.rows import in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

    from tasks.contract import Row
    from tasks.depth.recipe import MeasureRecipe

BINS = 10
_WIDTH, _HEIGHT, _LEFT, _BETWEEN = 2.2, 1.8, 0.5, 0.65


def by_distance(rows: list[Row], dataset: Any) -> list[dict[str, Any]]:
    """A line for each of `BINS` equal parts of 0 to `max_depth`, over the pixels of all images
    whose truth lies in it: `from` and `to` in metres, `images` that have such pixels, their number
    `pixels` and their `share`, `RMSE`, `AbsRel`, and `bias`, the mean of prediction minus truth in
    metres. Figures of no pixels are None.

    Raises:
        DataError: as `metrics.evaluate`.
    """
    measure: MeasureRecipe = dataset.recipe.measure
    width = measure.max_depth / BINS
    counts, images = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    sums = {name: np.zeros(BINS) for name in ("square", "relative", "signed")}
    for row in in_order(rows, len(dataset)):
        truth = dataset.truth(row["sample"])
        p, g = opened(row, truth, mask(truth, measure), measure)
        place = np.minimum((g / width).astype(np.int64), BINS - 1)
        here = np.bincount(place, minlength=BINS)
        counts += here
        images += here > 0
        error = p - g
        values = {"square": error * error, "relative": np.abs(error) / g, "signed": error}
        for name, each in values.items():
            sums[name] += np.bincount(place, each, BINS)
    total = max(int(counts.sum()), 1)
    lines: list[dict[str, Any]] = []
    for k, count in enumerate(counts.tolist()):
        mean = {name: float(each[k]) / count if count else None for name, each in sums.items()}
        square = mean["square"]
        lines.append(
            {
                "from": k * width,
                "to": (k + 1) * width,
                "images": int(images[k]),
                "pixels": count,
                "share": count / total,
                "RMSE": None if square is None else sqrt(square),
                "AbsRel": mean["relative"],
                "bias": mean["signed"],
            }
        )
    return lines


def picture(lines: list[dict[str, Any]], title: str) -> Image:
    """RMSE, AbsRel, bias and share of the pixels against distance, as bars."""
    panels = (
        ("RMSE", "RMSE in metres"),
        ("AbsRel", "AbsRel"),
        ("bias", "bias in metres"),
        ("share", "share of the pixels"),
    )
    width = len(panels) * (_WIDTH + _BETWEEN) + _LEFT - _BETWEEN
    notes = [
        "Over the pixels of all images together. Bias: mean of prediction minus truth; below 0 "
        "means predicted too near. Distances without a pixel have no bar."
    ]
    page = Page("Errors by distance", title, (width, _HEIGHT + 0.45), notes)
    for number, (key, words) in enumerate(panels):
        left = _LEFT + number * (_WIDTH + _BETWEEN)
        _bars(page.axes(left, 0.05, _WIDTH, _HEIGHT), lines, key, words)
    return page.image()


def _bars(axes: Axes, lines: list[dict[str, Any]], key: str, words: str) -> None:
    shown = [line for line in lines if line[key] is not None]
    middles = [(line["from"] + line["to"]) / 2 for line in shown]
    width = lines[0]["to"] - lines[0]["from"]
    axes.bar(middles, [line[key] for line in shown], 0.85 * width, color=BAR, alpha=0.6)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlim(0, lines[-1]["to"])
    axes.set_xlabel("true depth in metres", **text_style())
    axes.set_ylabel(words, **text_style())
