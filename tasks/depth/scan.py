"""Reading all depth maps of a split once: what cannot be used, and how many pixels count."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.depth.maps import UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Truth = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True)
class Scan:
    """What was found.

    Attributes:
        rows: (N,) those whose truth can be used.
        pixels: (N,3) of each: all, measured, counted.
        skipped: reason -> number of rows that were left out.
    """

    rows: Rows
    pixels: Rows
    skipped: dict[str, int]


def scan(rows: Rows, read: Callable[[int], Truth], lenient: bool) -> Scan:
    """Read every truth.

    Args:
        rows: (N,).
        read: a row's depth and which of its pixels count, (h,w) each.
        lenient: leave out what cannot be used.

    Raises:
        DataError: of a map that cannot be read; `UnusableError`, unless lenient.
    """

    def one(row: int) -> tuple[int, int, int] | str:
        try:
            depth, counted = read(row)
        except UnusableError as error:
            if lenient:
                return error.reason
            raise
        return depth.size, int(np.count_nonzero(depth)), int(np.count_nonzero(counted))

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(one, rows.tolist()))
    pixels = [of for of in found if not isinstance(of, str)]
    usable = np.array([not isinstance(of, str) for of in found], np.bool_)
    skipped = Counter(of for of in found if isinstance(of, str))
    return Scan(rows[usable], np.array(pixels, np.int64).reshape(-1, 3), dict(skipped))
