"""Food-101: class folders, and lists of `class/image` without suffix."""

from __future__ import annotations

from pathlib import Path

from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import base, class_number, column, numbered, part

NOISE = "training labels were left as they were found on the web; those of the test are reviewed"


def read(root: Path) -> Official:
    """Read the data set below `root`, classes in the order of `meta/classes.txt`.

    Raises:
        DataError: the layout is not whole, or a list names an unknown class.
    """
    home = base(root, "food-101")
    numbers = numbered(column(home / "meta/classes.txt"))
    return Official(
        train=_part(home, "train", numbers),
        val=None,
        test=_part(home, "test", numbers),
        class_names=tuple(numbers),
        notes=(NOISE,),
    )


def _part(home: Path, split: str, numbers: dict[str, int]) -> Part:
    path = home / f"meta/{split}.txt"
    names = column(path)
    labels = [class_number(name.rpartition("/")[0], numbers, path) for name in names]
    return part(home, [f"images/{name}.jpg" for name in names], labels, path)
