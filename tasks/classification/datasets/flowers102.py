"""Oxford 102 Flowers: MATLAB lists of image numbers and of a class for each, both from 1.

`trnid` is for training, `valid` for validation, `tstid` for the test, which is the largest by
far; many copies of this data set have the first and the last exchanged.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.classification.datasets import matlab
from tasks.classification.datasets.contract import Official
from tasks.classification.datasets.layout import base, from_one, part
from tasks.contract import DataError


def read(root: Path) -> Official:
    """Read the data set below `root`. Its files name no classes: they are called by their ids.

    Raises:
        DataError: the layout is not whole, or the lists do not go together.
    """
    home = base(root, "flowers-102")
    path = home / "imagelabels.mat"
    ids = matlab.integers(path, "labels")
    labels = from_one(ids.tolist(), int(ids.max()), path)
    parts = {}
    for name in ("trnid", "valid", "tstid"):
        chosen = matlab.integers(home / "setid.mat", name)
        if chosen.size and not 1 <= chosen.min() <= chosen.max() <= len(labels):
            raise DataError(
                f"`{home / 'setid.mat'}`: `{name}` has image numbers outside of 1 to {len(labels)}"
            )
        files = [f"jpg/image_{image:05d}.jpg" for image in chosen]
        parts[name] = part(home, files, labels[chosen - 1], home / "setid.mat")
    return Official(
        train=parts["trnid"],
        val=parts["valid"],
        test=parts["tstid"],
        class_names=tuple(str(label + 1) for label in np.unique(labels)),
    )
