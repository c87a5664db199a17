"""Caltech-101: class folders and no official split, so that ours is stated here.

The folder of background images is no class. Of each class 30 images are for training, those
whose hash comes first; all others are for the test. Published figures differ in their draws.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tasks.classification.datasets.contract import Official
from tasks.classification.datasets.layout import MissingError, base, class_folders, images_in, part
from tasks.contract import DataError

TRAINING = 30
SEED = 0
_FOLDER = "101_ObjectCategories"
_BACKGROUND = "BACKGROUND_Google"


def read(root: Path) -> Official:
    """Read the data set below `root`, classes and images in the order of their names.

    Raises:
        DataError: the layout is not whole, or a class has too few images.
    """
    home = base(root, *(f"{above}{_FOLDER}" for above in ("", "caltech-101/", "caltech101/")))
    if home.resolve().name != _FOLDER:
        raise MissingError(f"`{root / _FOLDER}` is missing")
    names = [name for name in class_folders(home) if name != _BACKGROUND]
    files: dict[bool, list[str]] = {True: [], False: []}
    labels: dict[bool, list[int]] = {True: [], False: []}
    for label, name in enumerate(names):
        found = [f"{name}/{image}" for image in images_in(home / name)]
        if len(found) <= TRAINING:
            raise DataError(
                f"`{home / name}` has {len(found)} images; expected more than the {TRAINING} that "
                "are for training"
            )
        drawn = set(sorted(found, key=_rank)[:TRAINING])
        for file in found:
            files[file in drawn].append(file)
            labels[file in drawn].append(label)
    return Official(
        train=part(home, files[True], labels[True], home),
        val=None,
        test=part(home, files[False], labels[False], home),
        class_names=tuple(names),
        notes=(f"no official split: {TRAINING} images a class for training, drawn by hash",),
    )


def _rank(file: str) -> bytes:
    return hashlib.sha256(f"{SEED}/{file}".encode()).digest()
