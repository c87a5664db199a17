"""Pairs of files below a root."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks import images
from tasks.contract import DataError
from tasks.depth import maps
from tasks.depth.maps import Stored
from tasks.depth.sources.contract import Pair, Source
from tasks.names import printable


@dataclass(frozen=True)
class Files(Source):
    """Pairs of files.

    Attributes:
        unit: of depth maps in PNG, numbers a metre; None where it was not declared.
        max_depth: the largest depth that is measured, see `maps.read`.
    """

    root: Path
    pairs: tuple[Pair, ...]
    unit: float | None
    max_depth: float
    kb_crop: bool
    licence: str
    skipped: dict[str, int]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, row: int) -> str:
        return printable(self.pairs[row].name)

    def place(self, row: int) -> tuple[str, str]:
        pair = self.pairs[row]
        image, depth = (printable(f"{self.root}/{file}") for file in (pair.image, pair.depth))
        return image, depth

    def image(self, row: int) -> NDArray[np.uint8]:
        return images.read(self.root / self.pairs[row].image)

    def depth(self, row: int) -> Stored:
        return maps.read(self.root / self.pairs[row].depth, self.unit, self.max_depth)

    def digest(self, rows: Sequence[int]) -> str:
        whole = hashlib.sha256(f"{self.unit} {self.kb_crop}\n".encode())
        for row in rows:
            pair = self.pairs[row]
            sizes = f"{self._bytes(pair.image)}\t{self._bytes(pair.depth)}"
            whole.update(f"{self.name(row)}\t{sizes}\n".encode())
        return whole.hexdigest()

    def _bytes(self, file: str) -> int:
        try:
            # Of fifty thousand files: a Path takes as long as the question.
            return os.stat(f"{self.root}/{file}").st_size  # noqa: PTH116
        except OSError as error:
            raise images.unreadable(self.root / file, error) from None


class Listings:
    """Which files are there: one look at each folder, not at each file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._found: dict[str, frozenset[str]] = {}

    def __contains__(self, file: str) -> bool:
        folder, _, name = file.rpartition("/")
        if folder not in self._found:
            self._found[folder] = self._names(folder)
        return name in self._found[folder]

    def _names(self, folder: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self.root / folder))  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
        except OSError as error:
            name = printable(str(self.root / folder))
            raise DataError(f"cannot read the folder `{name}`: {error.strerror}") from None
