"""The images that encoders are looked at with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Images(ABC):
    """A fixed row of images, read when they are asked for.

    Attributes:
        name: what they are, such as `microworld`.
        sha256: hash of what they are and of how they are brought to their size.
        size: (H,W) in pixels.
    """

    name: str
    sha256: str
    size: tuple[int, int]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, start: int, stop: int) -> Tensor:
        """Return the images `start` to `stop` (exclusive), (B,3,H,W) float32 RGB in [0,1].

        Raises:
            DataError: naming the file that cannot be read.
        """
