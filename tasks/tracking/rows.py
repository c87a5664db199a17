"""One prediction: the boxes of a sequence, as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def row(
    sample: int,
    sequence: str,
    boxes: Floats,
    scores: Floats,
    centres: Floats,
    maps: NDArray[np.uint8] | None = None,
) -> Row:
    """One sequence of T frames.

    Args:
        sample: its index in the data set.
        sequence: its name.
        boxes: (T,4) x, y, width, height in pixels of the image, the first as given.
        scores: (T,) of each box in [0,1]; NaN where there is none, as of the first.
        centres: (T,4) boxes around which the search areas lay; NaN where there was none.
        maps: (T,h,w) scores of the search area's cells in 255ths, if they are kept.
    """
    shape = (0, 0, 0) if maps is None else maps.shape
    return {
        "sample": sample,
        "sequence": sequence,
        "boxes": np.asarray(boxes, np.float64).ravel().tolist(),
        "scores": np.asarray(scores, np.float64).tolist(),
        "centres": np.asarray(centres, np.float64).ravel().tolist(),
        "map_height": shape[1],
        "map_width": shape[2],
        "maps": b"" if maps is None else maps.tobytes(),
    }


def boxes(found: Row) -> Floats:
    """(T,4) of a row."""
    return np.array(found["boxes"], np.float64).reshape(-1, 4)


def centres(found: Row) -> Floats:
    """(T,4) of a row."""
    return np.array(found["centres"], np.float64).reshape(-1, 4)


def maps(found: Row) -> NDArray[np.uint8] | None:
    """(T,h,w) of a row; None where they were not kept."""
    if not found["maps"]:
        return None
    shape = (-1, found["map_height"], found["map_width"])
    return np.frombuffer(found["maps"], np.uint8).reshape(shape)
