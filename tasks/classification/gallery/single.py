"""The gallery of a data set with one class an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.classification.gallery.bars import Bar, bars
from tasks.classification.gallery.confusion import confusion
from tasks.classification.gallery.names import Names
from tasks.classification.gallery.sheets import ACROSS, SIDE, WIDTH, Strip, Tile, sheet, strips
from tasks.classification.gallery.tally import Pair, Tally, error, interval, tally
from tasks.contract import Gallery
from tasks.figures import NORMAL, width

if TYPE_CHECKING:
    from PIL.Image import Image

    from tasks.classification.data import ClassificationDataset
    from tasks.contract import Row

WORST = 8
SUREST = 24
_NAME = 1.6
"""Inches of a name in the head of a worst class."""
_TILE = SIDE - 0.4
"""Of a name below an image, behind a word."""


def gallery(rows: list[Row], dataset: ClassificationDataset, title: str) -> Gallery:
    """Confusions, accuracy of each class, worst classes and surest mistakes.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    names = Names(dataset.opened.class_names)
    found = tally(rows, dataset.labels, len(names.full))
    images = {"accuracy": _accuracy(found, names, title)}
    notes = list(names.notes)
    if (confused := confusion(found, names, title)) is not None:
        images["confusion"] = confused
    if found.pairs:
        images["worst"] = _worst(found, names, dataset, title)
        images["mistakes"] = _mistakes(found, names, dataset, title)
    else:
        notes.append("every image is named right: there are no mistakes to draw")
    return Gallery(images, {"classes": table(found, names)}, tuple(notes))


def table(found: Tally, names: Names) -> list[dict[str, Any]]:
    """A line a class, in the order of their numbers. `error` is the standard error, `low` and
    `high` Wilson's 95 % interval; `times` says how often it is taken for `taken_for`, which stands
    for no other than the most frequent. None where there is no such figure."""
    lines = []
    for number, name in enumerate(names.full):
        count, correct = int(found.sizes[number]), int(found.correct[number])
        low, high = interval(correct, count) if count else (None, None)
        most = next(iter(found.taken_for(number)), None)
        lines.append(
            {
                "number": number,
                "class": name,
                "n": count,
                "correct": correct,
                "accuracy": correct / count if count else None,
                "error": error(correct, count) if count else None,
                "low": low,
                "high": high,
                "taken_for": most and names.full[most.named],
                "times": most and most.count,
            }
        )
    return lines


def _accuracy(found: Tally, names: Names, title: str) -> Image:
    each = []
    for number in found.ordered():
        count, correct = int(found.sizes[number]), int(found.correct[number])
        each.append(Bar(number, correct / count, *interval(correct, count), count))
    empty = found.classes - len(each)
    notes = ["Lines: 95 % intervals of the sampling error (Wilson); n: test images of the class."]
    if empty:
        notes.append(f"Classes without a test image: {empty}.")
    share = found.correct.sum() / len(found.labels)
    heading = f"Accuracy of each class (of all images: {100 * share:.1f} %)"
    return bars(each, names, heading, "share of its images named right", title, notes)


def _worst(found: Tally, names: Names, dataset: ClassificationDataset, title: str) -> Image:
    flawed = [k for k in found.ordered() if found.taken_for(k)]
    shown = flawed[:WORST]
    notes = [
        f"{len(shown)} of {len(flawed)} classes with mistakes, the lowest share of right ones "
        f"first. Images: the first {ACROSS} of its mistakes in the data set's order."
    ]
    chosen = [_class(found, number, names) for number in shown]
    return sheet(chosen, dataset, "Worst classes", title, notes)


def _class(found: Tally, number: int, names: Names) -> Strip:
    count, correct = int(found.sizes[number]), int(found.correct[number])
    low, high = (100 * bound for bound in interval(correct, count))
    head = (
        f"{names.short(number, _NAME, NORMAL)}: {correct} of {count} right, 95 % interval "
        f"{low:.0f} to {high:.0f} %; taken for "
    )
    wrong = np.flatnonzero((found.labels == number) & (found.named != number))
    tiles = (Tile(int(k), _named(found, int(k), names)) for k in wrong[:ACROSS])
    return Strip(tuple(tiles), _others(head, found.taken_for(number), names))


def _others(head: str, taken: list[Pair], names: Names) -> str:
    """The head with as many of the classes as it has room for, and the number of the others."""
    texts = [f"{names.short(pair.named, _NAME, NORMAL)} ({pair.count})" for pair in taken]
    for shown in range(len(texts), 0, -1):
        rest = [f"{len(texts) - shown} more"] if shown < len(texts) else []
        text = head + ", ".join([*texts[:shown], *rest])
        if width(text, NORMAL) <= WIDTH:
            break
    return text


def _mistakes(found: Tally, names: Names, dataset: ClassificationDataset, title: str) -> Image:
    wrong = found.surest_mistakes()
    tiles = [
        Tile(k, (f"is {names.short(int(found.labels[k]), _TILE)}", *_named(found, k, names)))
        for k in wrong[:SUREST]
    ]
    notes = [
        f"{len(tiles)} of {len(wrong)} mistakes, the highest probability of the named class first."
    ]
    return sheet(strips(tiles), dataset, "Most confident mistakes", title, notes)


def _named(found: Tally, sample: int, names: Names) -> tuple[str, str]:
    name = names.short(int(found.named[sample]), _TILE)
    return f"named {name}", f"probability {_percent(float(np.exp(found.scores[sample])))}"


def _percent(share: float) -> str:
    """Certainty is never claimed by rounding."""
    return ">99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"
