"""Stanford Cars: annotations in MATLAB structures, class ids from 1."""

from __future__ import annotations

from pathlib import Path

from tasks.classification.datasets import matlab
from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import base, from_one, part
from tasks.contract import DataError

_TEST = "cars_test_annos_withlabels.mat"


def read(root: Path) -> Official:
    """Read the data set below `root`, images in the order of the annotations.

    Raises:
        DataError: the layout is not whole; the devkit's own list of the test images has no labels.
    """
    home = base(root, "stanford_cars")
    devkit = home / "devkit"
    names = tuple(str(name) for name in matlab.load(devkit / "cars_meta.mat", "class_names"))
    test = devkit / _TEST if (devkit / _TEST).is_file() else home / _TEST
    return Official(
        train=_part(home, "cars_train", devkit / "cars_train_annos.mat", len(names)),
        val=None,
        test=_part(home, "cars_test", test, len(names)),
        class_names=names,
    )


def _part(home: Path, folder: str, path: Path, classes: int) -> Part:
    found = matlab.load(path, "annotations")
    if not {"fname", "class"} <= set(found.dtype.names or ()):
        raise DataError(f"`{path}` has no file names and classes; get the official file ({_TEST})")
    files = [f"{folder}/{name}" for name in found["fname"]]
    labels = from_one([int(label) for label in found["class"]], classes, path)
    return part(home, files, labels, path)
