"""What a source of images and depth maps gives, whatever its layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tasks.depth.maps import Stored


class Pair(NamedTuple):
    """An image and its depth map, as paths below the root, with `/`.

    Attributes:
        name: of the image in its data set, the same wherever that lies.
        sequence: what it was taken in: two of one sequence look alike.
    """

    name: str
    image: str
    depth: str
    sequence: str


@dataclass(frozen=True)
class Listing:
    """One part of a data set as it was found.

    Attributes:
        skipped: reason -> number of images that were left out.
        notes: what is odd about it and was kept, a line each.
    """

    pairs: tuple[Pair, ...]
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Source(ABC):
    """The images of one split with their depth; picklable, so that loader workers may have it.

    Attributes:
        kb_crop: whether images and maps are cut to KITTI's benchmark crop.
        licence: terms, in a word or two.
        skipped: reason -> number of images that were left out.
        notes: what is odd about it and was kept, a line each.
    """

    kb_crop: bool
    licence: str
    skipped: dict[str, int]
    notes: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, row: int) -> str:
        """The image's own name in the data set."""

    @abstractmethod
    def place(self, row: int) -> tuple[str, str]:
        """What messages call the image and its depth map."""

    @abstractmethod
    def image(self, row: int) -> NDArray[np.uint8]:
        """RGB (h,w,3).

        Raises:
            DataError: naming the file that cannot be read.
        """

    @abstractmethod
    def depth(self, row: int) -> Stored:
        """The depth map, uncut.

        Raises:
            UnusableError: nothing in it was measured.
            DataError: naming the file that cannot be read.
        """

    @abstractmethod
    def digest(self, rows: Sequence[int]) -> str:
        """Hash of what decides the images and depth maps in `rows`."""
