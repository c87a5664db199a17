"""Files of annotations beside folders of images, a pair for each split, below a root."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.contract import DataError, Split
from tasks.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class Annotated(ABC):
    """Images by their row in a split's annotations."""

    @abstractmethod
    def image(self, row: int) -> NDArray[np.uint8]:
        """RGB (H, W, 3), of the size which its annotation states.

        Raises:
            DataError: naming the file that cannot be read.
        """

    @abstractmethod
    def digest(self, rows: NDArray[np.int64]) -> str:
        """Hash of the annotations and of the images in `rows`."""


@dataclass(frozen=True)
class Layout:
    """Where a data set's parts are expected.

    Attributes:
        name: of the data set.
        annotations: split -> file below the root.
        images: split -> folder below the root.
        others: what is needed besides.
    """

    name: str
    annotations: Mapping[str, str]
    images: Mapping[str, str]
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        folders = dict.fromkeys(f"{name}/" for name in self.images.values())
        return ", ".join([*dict.fromkeys(self.annotations.values()), *folders, *self.others])

    def paths(self, root: Path, split: Split) -> tuple[Path, Path]:
        """The annotation file and the image folder of a split."""
        return root / self.annotations[split], root / self.images[split]

    def existing(self, root: Path | None, split: Split) -> tuple[Path, Path]:
        """The same, once they are there.

        Raises:
            DataError: they are not; with everything that is expected.
        """
        if root is None:
            raise DataError(f"`{self.name}` needs --data-root DIR, with {self} in it")
        if not root.is_dir():
            raise DataError(f"there is no folder {root}; expected there: {self}")
        for path in self.paths(root, split):
            if not path.exists():
                raise DataError(f"{path} is missing; expected in {root}: {self}")
        return self.paths(root, split)


def digest(annotations: str, folder: Path, files: Iterable[str], hint: str = "") -> str:
    """Hash of annotations and of the names and sizes of the images in use.

    Args:
        annotations: their hash.
        folder: of the images.
        files: their names below it.
        hint: what a message says to do about a missing one.

    Raises:
        DataError: naming the image that is missing.
    """
    whole = hashlib.sha256(annotations.encode())
    for file in files:
        try:
            size = (folder / file).stat().st_size
        except OSError as error:
            name = printable(str(folder / file))
            raise DataError(f"cannot read the image {name}: {error.strerror}{hint}") from None
        whole.update(f"{printable(file)} {size}\n".encode())
    return whole.hexdigest()
