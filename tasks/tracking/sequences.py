"""A sequence of frames with a target, whatever it was read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence as Listed

    import numpy as np
    from numpy.typing import NDArray

    Boxes = NDArray[np.float64]


class Frames(ABC):
    """The images of a sequence, read when they are asked for; picklable, so that loader workers may
    have it. A plain class: a batch holds it as it is."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, frame: int) -> NDArray[np.uint8]:
        """RGB (H,W,3).

        Raises:
            DataError: naming sequence and frame, where it cannot be read.
        """

    @abstractmethod
    def name(self, frame: int) -> str:
        """What messages call a frame."""

    def extent(self) -> tuple[int, int]:
        """Width and height in pixels of the first frame, as the others have them.

        Raises:
            DataError: as `read`.
        """
        height, width = self.read(0).shape[:2]
        return width, height


@dataclass(frozen=True)
class Sequence:
    """One target in one video; a static image with a box is a sequence of one frame.

    Attributes:
        name: in its data set, unique there.
        frames: T of them.
        boxes: (T,4) x, y, width, height in pixels, x and y from 0 at the left and top edge of the
            image; NaN where nothing is known. The first is known.
        absent: (T,) whether the target is out of view or wholly hidden; None where nothing says so.
        cover: (T,) how much of it is seen, 0 to 8 eighths as GOT-10k has it; None likewise.
        visible: (T,) as LaSOT has it: neither fully occluded nor out of view; None likewise.
        attributes: what the benchmark says is hard about it, such as `fast motion`.
        labelled: whether boxes beyond the first are known, so that it can be scored.
    """

    name: str
    frames: Frames
    boxes: Boxes
    absent: NDArray[np.bool_] | None = None
    cover: NDArray[np.int64] | None = None
    visible: NDArray[np.bool_] | None = None
    attributes: tuple[str, ...] = ()
    labelled: bool = True

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Source:
    """The sequences of one split of one data set.

    Attributes:
        name: of the data set.
        sequences: in the data set's own order.
        digest: hash of what decides frames and boxes.
        licence: terms, in a word or two.
        skipped: reason -> number of sequences that were left out.
        notes: what is odd about it and was kept, a line each.
    """

    name: str
    sequences: Listed[Sequence]
    digest: str
    licence: str
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
