"""Oxford-IIIT Pets: lists of `image class species breed`, ids from 1, the class in the name."""

from __future__ import annotations

from pathlib import Path

from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import base, from_one, number, part, rows
from tasks.contract import DataError


def read(root: Path) -> Official:
    """Read the data set below `root`.

    Raises:
        DataError: the layout is not whole, or a class id and the images' names do not agree.
    """
    home = base(root, "oxford-iiit-pet")
    names = _names(home / "annotations/trainval.txt")
    return Official(
        train=_part(home, "trainval", names),
        val=None,
        test=_part(home, "test", names),
        class_names=tuple(name.replace("_", " ") for name in names),
        notes=("a few files are no JPEG whatever their names say; they are read as what they are",),
    )


def _lines(path: Path) -> list[tuple[str, int]]:
    # The list of all images begins with lines of explanation, these two do not.
    return [(image, number(label, path)) for image, label, _, _ in rows(path, 4)]


def _names(path: Path) -> list[str]:
    found = {label: image.rpartition("_")[0] for image, label in _lines(path)}
    if sorted(found) != list(range(1, len(found) + 1)):
        raise DataError(f"`{path}`: expected class ids from 1 without gaps, found {sorted(found)}")
    return [found[label] for label in sorted(found)]


def _part(home: Path, split: str, names: list[str]) -> Part:
    path = home / f"annotations/{split}.txt"
    lines = _lines(path)
    labels = from_one([label for _, label in lines], len(names), path)
    for (image, label), name in zip(lines, (names[index] for index in labels), strict=True):
        if image.rpartition("_")[0] != name:
            raise DataError(f"`{path}` gives `{image}` the class id {label}, which is `{name}`")
    return part(home, [f"images/{image}.jpg" for image, _ in lines], labels, path)
