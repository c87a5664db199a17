"""PASCAL VOC 2007, classification: for each class a list of 1 (shown), -1 (not), 0 (difficult)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import base, column, part, rows
from tasks.contract import DataError

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
_SIGNS = {"1": 1, "-1": -1, "0": 0}


def read(root: Path) -> Official:
    """Read the data set below `root`, images in the order of `ImageSets/Main/<split>.txt`.

    Raises:
        DataError: the layout is not whole, or the lists do not speak of the same images.
    """
    home = base(root, "VOCdevkit/VOC2007", "VOC2007")
    return Official(
        train=_part(home, "train"),
        val=_part(home, "val"),
        test=_part(home, "test"),
        class_names=CLASSES,
        notes=("several classes an image; 0 marks those that show only difficult ones",),
    )


def _part(home: Path, split: str) -> Part:
    lists = home / "ImageSets/Main"
    path = lists / f"{split}.txt"
    images = column(path)
    labels = np.stack([_labels(lists / f"{name}_{split}.txt", images) for name in CLASSES], axis=1)
    return part(home, [f"JPEGImages/{image}.jpg" for image in images], labels, path)


def _labels(path: Path, images: list[str]) -> np.ndarray:
    found = rows(path, 2)
    if [image for image, _ in found] != images:
        raise DataError(f"`{path}` does not list the images of its split in their order")
    for _, sign in found:
        if sign not in _SIGNS:
            raise DataError(f"`{path}`: expected 1, -1 or 0, found {sign!r}")
    return np.array([_SIGNS[sign] for _, sign in found], np.int64)
