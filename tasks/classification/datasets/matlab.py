"""Reading MATLAB files of version 5: numbers, text and structures; nothing in them can run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.classification.datasets.layout import need
from tasks.contract import DataError


def load(path: Path, name: str) -> NDArray[Any]:
    """The variable `name` of the file, single elements unwrapped, at least one-dimensional.

    Raises:
        MissingError: the file is not there.
        DataError: it cannot be read, or lacks the variable.
    """
    from scipy.io import loadmat

    need(path)
    try:
        found = loadmat(str(path), squeeze_me=True, variable_names=[name])
    except Exception as error:
        raise DataError(
            f"cannot read the MATLAB file `{path}` ({type(error).__name__}); get it again"
        ) from None
    if name not in found:
        raise DataError(f"`{path}` has no variable `{name}`; get the official file")
    return np.atleast_1d(found[name])


def integers(path: Path, name: str) -> NDArray[np.int64]:
    """The variable as whole numbers (N,); raises as `load` does, and where it has others."""
    found = load(path, name)
    if found.dtype.kind not in "iu" and not (
        found.dtype.kind == "f" and (found == np.round(found)).all()
    ):
        raise DataError(f"`{path}`: expected whole numbers in `{name}`")
    return found.astype(np.int64).reshape(-1)
