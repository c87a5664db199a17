"""CUB-200-2011: four lists over the same image ids, which begin with 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.classification.datasets.contract import Official
from tasks.classification.datasets.layout import base, from_one, number, part, rows
from tasks.contract import DataError

OVERLAP = "some test images are training images of ImageNet-1K, as the data set's authors warn"


def read(root: Path) -> Official:
    """Read the data set below `root`, images in the order of their ids.

    Raises:
        DataError: the layout is not whole, or the lists do not speak of the same images.
    """
    home = base(root, "CUB_200_2011")
    classes = rows(home / "classes.txt", 2)
    names = [name for _, name in classes]
    if [number(found, home / "classes.txt") for found, _ in classes] != list(
        range(1, len(names) + 1)
    ):
        raise DataError(f"`{home / 'classes.txt'}`: expected the ids 1 to {len(names)} in order")
    files = _by_id(home / "images.txt")
    ids = _by_id(home / "image_class_labels.txt")
    sides = _by_id(home / "train_test_split.txt")
    for other, name in ((ids, "image_class_labels.txt"), (sides, "train_test_split.txt")):
        if other.keys() != files.keys():
            raise DataError(f"`{home / name}` and `images.txt` do not list the same image ids")
    if not set(sides.values()) <= {"0", "1"}:
        raise DataError(f"`{home / 'train_test_split.txt'}`: expected 1 for training, 0 for test")
    path = home / "image_class_labels.txt"
    labels = from_one([number(ids[image], path) for image in files], len(names), path)
    training = np.array([sides[image] == "1" for image in files])

    def half(chosen: np.ndarray) -> tuple[Path, list[str], np.ndarray, Path]:
        kept = [f"images/{file}" for file, use in zip(files.values(), chosen, strict=True) if use]
        return home, kept, labels[chosen], home / "images.txt"

    return Official(
        train=part(*half(training)),
        val=None,
        test=part(*half(~training)),
        class_names=tuple(name.partition(".")[2] or name for name in names),
        notes=(OVERLAP,),
    )


def _by_id(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for image, value in rows(path, 2):
        if image in found:
            raise DataError(f"`{path}` has the image id {image} twice")
        found[image] = value
    return found
