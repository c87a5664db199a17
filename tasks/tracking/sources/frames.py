"""The frames of a sequence, from image files and from archives."""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tasks import images
from tasks.contract import DataError
from tasks.names import printable
from tasks.tracking.sequences import Frames
from tasks.tracking.sources.archives import Member, extract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Images(Frames):
    """Image files of one size.

    Attributes:
        sequence: whose frames they are.
        size: width and height of the first, which the others must have; None while it is unknown.
    """

    def __init__(self, sequence: str, names: Sequence[str]) -> None:
        self.sequence = sequence
        # Bytes in one array: a training set has a million frames.
        self._names = np.array([os.fsencode(name) for name in names], np.bytes_)
        self.size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self._names)

    def file(self, frame: int) -> str:
        """The name of a frame's file."""
        return os.fsdecode(self._names[frame])

    @property
    def files(self) -> list[bytes]:
        """The names of all files, as the system has them."""
        names: list[bytes] = self._names.tolist()
        return names

    def name(self, frame: int) -> str:
        return printable(f"{self.sequence}/{self.file(frame)}")

    def extent(self) -> tuple[int, int]:
        return self.size or super().extent()

    def read(self, frame: int) -> NDArray[np.uint8]:
        path = self.path(frame)
        try:
            content = self.content(frame)
            image = images.decode(content, path)
            if self.size not in (None, _size(image)):
                # Where its orientation tag decides, the boxes do.
                image = images.decode(content, path, upright=False)
        except DataError as error:
            raise DataError(f"sequence `{printable(self.sequence)}`: {error}") from None
        if self.size is not None and _size(image) != self.size:
            (width, height), (own_width, own_height) = self.size, _size(image)
            raise DataError(
                f"sequence `{printable(self.sequence)}`: the frame `{path}` has "
                f"{own_width}x{own_height} pixels, the first frame or the annotation {width}x"
                f"{height}; boxes are in pixels of one size: bring the images to it"
            )
        return image

    def measure(self) -> tuple[int, int]:
        """Take width and height from the head of the first frame's file.

        Raises:
            DataError: naming sequence and frame, where it cannot be read.
        """
        try:
            with self.opened(0) as file:
                self.size = images.extent(file, self.path(0))
        except DataError as error:
            raise DataError(f"sequence `{printable(self.sequence)}`: {error}") from None
        return self.size

    @abstractmethod
    def path(self, frame: int) -> str:
        """Where a frame's file lies, for messages."""

    @abstractmethod
    def content(self, frame: int) -> bytes:
        """The bytes of a frame's file."""

    def opened(self, frame: int) -> BinaryIO:
        """A frame's file, of which the head may be all that is read."""
        return io.BytesIO(self.content(frame))


def _size(image: NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


class Files(Images):
    """Files in a folder."""

    def __init__(self, sequence: str, names: Sequence[str], folder: str) -> None:
        super().__init__(sequence, names)
        self._folder = folder

    def path(self, frame: int) -> str:
        return printable(f"{self._folder}/{self.file(frame)}")

    def content(self, frame: int) -> bytes:
        return images.stored(Path(self._folder, self.file(frame)))

    def opened(self, frame: int) -> BinaryIO:
        path = Path(self._folder, self.file(frame))
        try:
            return path.open("rb")
        except OSError as error:
            raise images.unreadable(path, error) from None


class Packed(Images):
    """Members of a folder in an archive."""

    def __init__(
        self,
        sequence: str,
        names: Sequence[str],
        archive: str,
        prefix: str,
        members: Sequence[Member],
    ) -> None:
        super().__init__(sequence, names)
        self._archive, self._prefix = archive, prefix
        self._members = np.array(members, np.int64).reshape(-1, len(Member._fields))

    def path(self, frame: int) -> str:
        return printable(f"{self._archive}/{self._prefix}{self.file(frame)}")

    def content(self, frame: int) -> bytes:
        member = Member(*self._members[frame].tolist())
        return extract(self._archive, member, self.path(frame))
