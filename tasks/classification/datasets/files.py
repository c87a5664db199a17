"""Images that are files below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks import images
from tasks.classification.datasets.contract import Images
from tasks.contract import DataError
from tasks.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

SKIP = ", or leave such images out, counted, with --set data.skip_unreadable=true"


@dataclass(frozen=True)
class Files(Images):
    """Image files in a given order.

    Attributes:
        root: the folder of the data set.
        files: paths below it, with `/`, as `os.fsdecode` gives them.
    """

    root: Path
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def path(self, row: int) -> Path:
        return self.root / self.files[row]

    def read(self, row: int) -> NDArray[np.uint8]:
        try:
            return images.read(self.path(row))
        except DataError as error:
            raise DataError(f"{error}{SKIP}") from None

    def name(self, row: int) -> str:
        return printable(self.files[row])

    def size(self, row: int) -> int:
        try:
            # Of a million files: a Path takes as long as the question.
            return os.stat(self._place(row)).st_size  # noqa: PTH116
        except OSError as error:
            raise DataError(f"{images.unreadable(self.path(row), error)}{SKIP}") from None

    def content(self, row: int) -> bytes:
        return images.stored(self.path(row))

    def end(self, row: int, count: int) -> bytes:
        try:
            # A pipe is opened without waiting for who writes to it; it has no last bytes.
            file = os.open(self._place(row), os.O_RDONLY | os.O_NONBLOCK)
            try:
                return os.pread(file, count, max(0, os.fstat(file).st_size - count))
            finally:
                os.close(file)
        except OSError as error:
            raise images.unreadable(self.path(row), error) from None

    def _place(self, row: int) -> str:
        return f"{self.root}/{self.files[row]}"


def walk(folder: Path) -> Iterator[str]:
    """Yield the paths of all files below a folder, relative to it, with `/`, in the order of their
    names; links are followed. What is hidden is yielded too, a hidden folder as one path that
    ends in `/`.

    Raises:
        DataError: a folder that cannot be read, or a link to a folder that it lies in.
    """
    yield from _walk(folder, "", (_identity(folder),))


def _walk(folder: Path, below: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"cannot read the folder `{printable(str(folder))}`: {error.strerror}"
        ) from None
    for entry in entries:
        name = f"{below}{entry.name}"
        if not _is_folder(entry):
            yield name
        elif entry.name.startswith("."):
            yield f"{name}/"
        else:
            path = folder / entry.name
            identity = _identity(path)
            if identity in above:
                raise DataError(
                    f"`{printable(str(path))}` is a link to a folder that it lies in; remove it"
                )
            yield from _walk(path, f"{name}/", (*above, identity))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link to itself.
        return False


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise DataError(
            f"cannot read the folder `{printable(str(folder))}`: {error.strerror}"
        ) from None
    return status.st_dev, status.st_ino


def readable(
    found: Images, rows: Sequence[int], progress: Callable[[int, int], None] | None = None
) -> NDArray[np.bool_]:
    """Whether the images at `rows` can be read (R,): each is decoded once."""
    kept = np.ones(len(rows), np.bool_)
    for number, row in enumerate(rows):
        try:
            found.read(row)
        except DataError:
            kept[number] = False
        if progress is not None:
            progress(number + 1, len(rows))
    return kept
