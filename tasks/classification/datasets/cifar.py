"""CIFAR-10 and CIFAR-100, the version for Python: batches of pickled arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.classification.datasets.arrays import Arrays
from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import base
from tasks.classification.datasets.pickles import array_of, entry, load, texts
from tasks.contract import DataError

TWINS = "some test images have near-duplicates among the training images; kept, as everybody does"
_SIDE = 32


def read_cifar10(root: Path) -> Official:
    """Read CIFAR-10 below `root`.

    Raises:
        DataError: a batch is missing, damaged, or holds more than arrays and lists.
    """
    home = base(root, "cifar-10-batches-py")
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    return _read(home, batches, ["test_batch"], "batches.meta", "labels", "label_names")


def read_cifar100(root: Path) -> Official:
    """Read CIFAR-100 with its 100 fine classes below `root`; raises as `read_cifar10` does."""
    home = base(root, "cifar-100-python")
    return _read(home, ["train"], ["test"], "meta", "fine_labels", "fine_label_names")


def _read(
    home: Path, train: list[str], test: list[str], meta: str, labels: str, class_names: str
) -> Official:
    names = texts(entry(load(home / meta), class_names, home / meta), home / meta)
    return Official(
        train=_part([home / name for name in train], labels, len(names)),
        val=None,
        test=_part([home / name for name in test], labels, len(names)),
        class_names=tuple(names),
        notes=(TWINS,),
    )


def _part(paths: list[Path], key: str, classes: int) -> Part:
    rows, labels, names = [], [], []
    for path in paths:
        batch = load(path)
        data = array_of(entry(batch, "data", path), path)
        found = array_of(entry(batch, key, path), path)
        if data.dtype != np.uint8 or data.shape != (len(found), 3 * _SIDE * _SIDE):
            raise DataError(
                f"`{path}`: expected {len(found)} rows of {3 * _SIDE * _SIDE} bytes, one a label, "
                f"found {data.dtype} of shape {data.shape}; get the official file again"
            )
        if found.dtype.kind not in "iu" or not np.isin(found, range(classes)).all():
            raise DataError(f"`{path}` has labels outside of 0 to {classes - 1}")
        rows.append(data.reshape(-1, 3, _SIDE, _SIDE))
        labels.append(found.astype(np.int64))
        names += [f"{path.name}/{row}" for row in range(len(found))]
    return Part(Arrays(np.concatenate(rows), tuple(names)), np.concatenate(labels))
