"""SUN397, the first of its ten partitions: classes are paths such as `/a/apartment/outdoor`."""

from __future__ import annotations

from pathlib import Path

from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import base, class_number, column, need, numbered, part

PARTITION = "01"


def read(root: Path) -> Official:
    """Read the data set below `root`, classes in the order of `ClassName.txt`.

    Raises:
        DataError: the layout is not whole, or a list names an unknown class.
    """
    home = base(root, "SUN397")
    numbers = numbered(column(_list(root, home, "ClassName.txt")))
    return Official(
        train=_part(home, _list(root, home, f"Training_{PARTITION}.txt"), numbers),
        val=None,
        test=_part(home, _list(root, home, f"Testing_{PARTITION}.txt"), numbers),
        # Without the folder of the first letter.
        class_names=tuple(name.strip("/").partition("/")[2] for name in numbers),
    )


def _list(root: Path, home: Path, name: str) -> Path:
    """The lists come in an archive of their own, which people unpack in various places."""
    places = (home, home / "Partitions", root, root / "Partitions")
    found = next((place / name for place in places if (place / name).is_file()), home / name)
    return need(found)


def _part(home: Path, path: Path, numbers: dict[str, int]) -> Part:
    names = column(path)
    labels = [class_number(name.rpartition("/")[0], numbers, path) for name in names]
    return part(home, [name.lstrip("/") for name in names], labels, path)
