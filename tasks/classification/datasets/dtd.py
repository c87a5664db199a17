"""Describable Textures (DTD), the first of its ten splits: lists of `class/image.jpg`."""

from __future__ import annotations

from pathlib import Path

from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import base, class_number, column, numbered, part

SPLIT = 1


def read(root: Path) -> Official:
    """Read the data set below `root`, classes in the order of their names.

    Raises:
        DataError: the layout is not whole, or a class is missing from the training list.
    """
    home = base(root, "dtd")
    train = column(home / f"labels/train{SPLIT}.txt")
    numbers = numbered(sorted({name.rpartition("/")[0] for name in train}))
    return Official(
        train=_part(home, "train", numbers),
        val=_part(home, "val", numbers),
        test=_part(home, "test", numbers),
        class_names=tuple(numbers),
    )


def _part(home: Path, split: str, numbers: dict[str, int]) -> Part:
    path = home / f"labels/{split}{SPLIT}.txt"
    names = column(path)
    labels = [class_number(name.rpartition("/")[0], numbers, path) for name in names]
    return part(home, [f"images/{name}" for name in names], labels, path)
