"""Images that lie as rows in arrays, such as CIFAR's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.classification.datasets.contract import Images


@dataclass(frozen=True)
class Arrays(Images):
    """Images as rows of channels.

    Attributes:
        rows: (N,3,H,W).
        names: N of them.
    """

    rows: NDArray[np.uint8]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self.rows[row].transpose(1, 2, 0))

    def name(self, row: int) -> str:
        return self.names[row]

    def size(self, row: int) -> int:
        return int(self.rows[row].nbytes)

    def content(self, row: int) -> bytes:
        return bytes(self.rows[row].tobytes())
