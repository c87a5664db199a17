"""The gallery of a data set whose images may have several classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.classification import metrics
from tasks.classification.gallery.bars import Bar, bars
from tasks.classification.gallery.names import Names
from tasks.classification.gallery.sheets import ACROSS, SIDE, Strip, Tile, sheet, strips
from tasks.contract import Gallery
from tasks.figures import NORMAL, width
from tasks.rows import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from tasks.classification.data import ClassificationDataset
    from tasks.contract import Row

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

WORST = 8
SUREST = 24
_TILE = SIDE - 0.4
"""Inches of a name below an image, behind a word."""
NO_MATRIX = (
    "no confusion matrix: an image has several classes, none of which is taken for another one"
)


def gallery(rows: list[Row], dataset: ClassificationDataset, title: str) -> Gallery:
    """Average precision of each class, worst classes and the surest wrong namings.

    Raises:
        DataError: rows that are missing, doubled, of samples that the data set lacks, or without
            the scores of all classes.
    """
    names, labels = Names(dataset.opened.class_names), dataset.labels
    scores = metrics.matrix(in_order(rows, len(labels)), len(names.full))
    values = np.array(metrics.average_precisions(scores, labels))
    draws = metrics.resamples(len(labels))
    drawn = np.array([metrics.average_precisions(scores[k], labels[k]) for k in draws])
    shown = (labels == 1).sum(0)
    images = {
        "precision": _precision(values, drawn, shown, names, title),
        "worst": _worst(values, scores, dataset, names, title),
    }
    notes = [*names.notes, NO_MATRIX]
    if (surest := wrong_namings(scores, labels)) != []:
        images["mistakes"] = _mistakes(surest, scores, dataset, names, title)
    else:
        notes.append("every image shows every class: there are no mistakes to draw")
    lines = table(values, drawn, labels, names)
    return Gallery(images, {"classes": lines}, tuple(notes))


def table(values: Floats, drawn: Floats, labels: Ints, names: Names) -> list[dict[str, Any]]:
    """A line a class, in the order of their numbers; `n` images show it, in `difficult` more it is
    marked difficult. Of a class that no image shows there is no precision."""
    errors = drawn.std(0, ddof=1)
    lows, highs = np.quantile(drawn, (0.025, 0.975), axis=0)
    lines = []
    for number, name in enumerate(names.full):
        count = int((labels[:, number] == 1).sum())
        figures = (values[number], errors[number], lows[number], highs[number])
        value, error, low, high = map(float, figures) if count else (None,) * 4
        lines.append(
            {
                "number": number,
                "class": name,
                "n": count,
                "difficult": int((labels[:, number] == 0).sum()),
                "average_precision": value,
                "error": error,
                "low": low,
                "high": high,
            }
        )
    return lines


def wrong_namings(scores: Floats, labels: Ints) -> list[tuple[int, int]]:
    """(sample, class) of what is not shown, nor difficult, the highest score first; of equal scores
    the lower sample, then the lower class."""
    samples, classes = np.nonzero(labels == -1)
    order = np.lexsort((classes, samples, -scores[samples, classes]))[:SUREST]
    return [(int(samples[k]), int(classes[k])) for k in order]


def _ordered(values: Floats, shown: Ints) -> list[int]:
    there = np.flatnonzero(shown)
    return [int(k) for k in there[np.lexsort((there, -shown[there], values[there]))]]


def _precision(values: Floats, drawn: Floats, shown: Ints, names: Names, title: str) -> Image:
    lows, highs = np.quantile(drawn, (0.025, 0.975), axis=0)
    each = [
        Bar(
            k,
            float(values[k]),
            float(min(lows[k], values[k])),
            float(max(highs[k], values[k])),
            int(shown[k]),
        )
        for k in _ordered(values, shown)
    ]
    notes = [
        f"Lines: 95 % intervals over {metrics.RESAMPLES} resamples of the test images; n: images "
        "that show the class."
    ]
    if empty := int((shown == 0).sum()):
        notes.append(f"Classes that no test image shows: {empty}.")
    heading = f"Average precision of each class (mean: {values.mean():.3f})"
    return bars(each, names, heading, "11-point average precision", title, notes)


def _worst(
    values: Floats, scores: Floats, dataset: ClassificationDataset, names: Names, title: str
) -> Image:
    shown = (dataset.labels == 1).sum(0)
    ordered = _ordered(values, shown)
    chosen = []
    for number in ordered[:WORST]:
        images = np.flatnonzero(dataset.labels[:, number] == 1)
        lowest = images[np.lexsort((images, scores[images, number]))][:ACROSS]
        tiles = (Tile(int(k), _missed(int(k), number, scores, names)) for k in lowest)
        name = names.short(number, 3, NORMAL)
        head = f"{name}: average precision {values[number]:.3f}, shown by {shown[number]} images"
        chosen.append(Strip(tuple(tiles), head))
    notes = [
        f"{len(chosen)} of {len(ordered)} classes, the lowest precision first. Images: those that "
        "show it and give it the lowest score."
    ]
    return sheet(chosen, dataset, "Worst classes", title, notes)


def _missed(sample: int, number: int, scores: Floats, names: Names) -> tuple[str, ...]:
    first = int(scores[sample].argmax())
    own, highest = scores[sample, number], scores[sample, first]
    if first == number:
        return (f"its score {own:.2f}, the highest",)
    return f"its score {own:.2f}", f"named {names.short(first, _TILE)}", f"score {highest:.2f}"


def _mistakes(
    surest: list[tuple[int, int]],
    scores: Floats,
    dataset: ClassificationDataset,
    names: Names,
    title: str,
) -> Image:
    tiles = []
    for sample, number in surest:
        true = np.flatnonzero(dataset.labels[sample] == 1)
        more = f" +{len(true) - 1}" if len(true) > 1 else ""
        room = _TILE - width(more)
        shown = f"{names.short(int(true[0]), room)}{more}" if len(true) else "none of the classes"
        named = f"named {names.short(number, _TILE)}"
        score = f"score {scores[sample, number]:.2f}"
        tiles.append(Tile(sample, (f"shows {shown}", named, score)))
    notes = [
        f"The {len(tiles)} highest scores of classes that an image does not show; scores are the "
        "classifier's own, no probabilities. Difficult objects do not count as mistakes."
    ]
    return sheet(strips(tiles), dataset, "Most confident mistakes", title, notes)
