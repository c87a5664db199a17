"""Predicted depth beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.captions import PICTURED
from tasks.contract import Gallery
from tasks.depth import distance, storage
from tasks.depth.metrics import NAMES, evaluate, naming
from tasks.depth.protocol import mask, name
from tasks.figures import DPI, NORMAL, SHARES, Page, shortened, text_style

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from tasks.contract import Row

    Floats = NDArray[np.floating[Any]]

SIDE = 1.45
"""Inches of a square map's sides; the area of others is the same."""

_LEFT, _GAP, _LINE, _BAR = 0.75, 0.08, 0.15, 0.75
_WIDEST = 0.95
"""Share of the errors that the scale holds; larger ones have the colour of its end."""
_NOTE = (
    "Light is near and a small error, dark is far and a large one; truth and prediction have one "
    "scale, that of the truths shown, errors one that holds 95 % of them. White: no truth, or not "
    "kept; of errors also what does not count."
)


@dataclass(frozen=True)
class Shown:
    """A sample as it is drawn.

    Attributes:
        sample: its index.
        image: (H,W,3) uint8.
        truth: (h,w) metres, NaN where there is none.
        prediction: (h,w) metres, NaN where it was not kept.
        error: (h,w) metres, not negative, NaN where the truth does not count.
        words: below it.
    """

    sample: int
    image: NDArray[np.uint8]
    truth: Floats
    prediction: Floats
    error: Floats
    words: str = ""


def draw(rows: list[Row], dataset: Any) -> Image:
    """The first samples side by side: image, truth and prediction in one scale, error.

    Raises:
        DataError: rows that are broken.
    """
    first = sorted(rows, key=lambda row: int(row["sample"]))[:PICTURED]
    chosen = [shown(row, dataset) for row in first]
    return sheet(chosen, "Depth", name(dataset.recipe.measure), [])


def pictures(rows: list[Row], dataset: Any, title: str) -> Gallery:
    """The images with the least and the largest RMSE, and how errors grow with distance; tables of
    both, `images` with the figures of every image, the largest RMSE first.

    Raises:
        DataError: rows that are missing, doubled, broken or of samples that the data set lacks.
    """
    found = evaluate(rows, dataset).per_sample
    rmse = np.array(found["RMSE"])
    worst = np.lexsort((np.arange(len(rmse)), -rmse))
    best = np.lexsort((np.arange(len(rmse)), rmse))
    by_sample = {int(row["sample"]): row for row in rows}
    title = f"{title}; {name(dataset.recipe.measure)}"
    images = {}
    for stem, heading, order in (
        ("best", "Images with the least RMSE", best),
        ("worst", "Images with the largest RMSE", worst),
    ):
        chosen = [
            shown(by_sample[k], dataset, f"RMSE {rmse[k]:.3f} m, d1 {found['d1'][k]:.3f}")
            for k in order[:PICTURED].tolist()
        ]
        said = f"{len(chosen)} of {len(rmse)} images; all are in images.csv."
        images[stem] = sheet(chosen, heading, title, [said])
    lines = distance.by_distance(rows, dataset)
    images["distance"] = distance.picture(lines, title)
    tables = {
        "distance": lines,
        "images": [_line(k, found, dataset) for k in worst.tolist()],
    }
    return Gallery(images, tables)


def _line(k: int, found: dict[str, list[float]], dataset: Any) -> dict[str, Any]:
    figures = {key: column[k] for key, column in found.items() if key in NAMES.values()}
    return {"sample": k, "image": dataset.name(k), "pixels": int(found["pixels"][k])} | figures


def shown(row: Row, dataset: Any, words: str = "") -> Shown:
    """What is drawn of a row.

    Raises:
        DataError: the row is broken.
    """
    sample, measure = int(row["sample"]), dataset.recipe.measure
    truth = dataset.truth(sample)
    counted = mask(truth, measure)
    with naming(row):
        prediction = storage.unpack(row["depth"], truth.shape, counted)
    known = np.isfinite(truth) & (truth > 0)
    return Shown(
        sample,
        dataset.item(sample, None)["image"].transpose(1, 2, 0),
        np.where(known, truth, np.nan),
        prediction,
        np.abs(np.where(counted, prediction - np.where(known, truth, 0), np.nan)),
        words,
    )


def sheet(chosen: Sequence[Shown], heading: str, title: str, notes: Sequence[str]) -> Image:
    """A column a sample, below each other image, truth, prediction and error."""
    shape = sqrt(max(one.truth.shape[0] / one.truth.shape[1] for one in chosen))
    height, width = SIDE * shape, SIDE / shape
    down, across = height + _GAP, width + _GAP
    size = (_LEFT + len(chosen) * across + _BAR, 4 * down + 2 * _LINE)
    page = Page(heading, title, size, [*notes, _NOTE])
    metres, errors = scales(chosen)
    last: dict[int, Any] = {}
    for column, one in enumerate(chosen):
        left = _LEFT + column * across
        _show(page.axes(left, 0, width, height), one.image, None)
        maps = ((one.truth, metres), (one.prediction, metres), (one.error, errors))
        for line, (values, scale) in enumerate(maps, 1):
            few = condensed(values, int(width * DPI))
            last[line] = _show(page.axes(left, line * down, width, height), few, scale)
        for number, words in enumerate((f"sample {one.sample}", one.words)):
            base = 4 * down + _LINE * (number + 0.6)
            page.text(left, base, shortened(words, width))
    for line, words in enumerate(("image", "truth", "prediction", "error")):
        page.text(0, line * down + height / 2, words, NORMAL)
    left = _LEFT + len(chosen) * across
    _legend(page, last[1], left, down, 2 * height + _GAP)
    _legend(page, last[3], left, 3 * down, height)
    return page.image()


def scales(chosen: Sequence[Shown]) -> tuple[tuple[float, float], tuple[float, float]]:
    """From and to, in metres: of depths and of errors."""
    truth = np.concatenate([one.truth[np.isfinite(one.truth)] for one in chosen])
    error = np.concatenate([one.error[np.isfinite(one.error)] for one in chosen])
    depths = (float(truth.min()), float(truth.max())) if len(truth) else (0.0, 1.0)
    largest = float(np.quantile(error, _WIDEST)) if len(error) else 0.0
    return depths, (0.0, largest or 1e-3)


def condensed(values: Floats, columns: int) -> Floats:
    """A map (h,w) in blocks of equal sides, each the mean of what is known in it, so many that
    there are at most `columns` side by side: single known pixels are not lost in a small picture.
    """
    side = -(-values.shape[1] // columns)
    edge = [(0, -length % side) for length in values.shape]
    whole = np.pad(values.astype(np.float64), edge, constant_values=np.nan)
    blocks = whole.reshape(whole.shape[0] // side, side, whole.shape[1] // side, side)
    known = np.isfinite(blocks)
    count = known.sum((1, 3))
    total = np.where(known, blocks, 0).sum((1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _show(axes: Any, values: NDArray[Any], scale: tuple[float, float] | None) -> Any:
    from matplotlib import colormaps

    axes.set_xticks([])
    axes.set_yticks([])
    if scale is None:
        return axes.imshow(values)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_linewidth(0.4)
    colours = colormaps[SHARES].with_extremes(bad="white")
    return axes.imshow(values, cmap=colours, vmin=scale[0], vmax=scale[1], interpolation="nearest")


def _legend(page: Page, shown: Any, left: float, top: float, height: float) -> None:
    axes = page.axes(left, top, 0.12, height)
    bar = axes.figure.colorbar(shown, cax=axes)
    bar.outline.set_linewidth(0.4)
    axes.set_ylabel("metres", **text_style())
