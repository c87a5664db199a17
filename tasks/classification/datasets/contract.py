"""What a classification data set gives, whatever its layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Figure = Literal["accuracy", "mean_per_class", "map11"]
"""What a publication measures: top-1, the mean of the classes' recalls, or VOC 2007's 11-point mean
average precision."""


class Images(ABC):
    """Images by row; picklable, so that loader workers may have them."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, row: int) -> NDArray[np.uint8]:
        """Return RGB (H,W,3), upright.

        Raises:
            DataError: naming the file that cannot be read.
        """

    @abstractmethod
    def name(self, row: int) -> str:
        """Return the image's own name in the data set, such as its path below the root."""

    @abstractmethod
    def size(self, row: int) -> int:
        """Return the number of bytes of what is stored.

        Raises:
            DataError: naming the file that is missing.
        """

    @abstractmethod
    def content(self, row: int) -> bytes:
        """Return what is stored, as it is."""

    def end(self, row: int, count: int) -> bytes:
        """Return its last bytes, at most `count`: they tell images of one size apart."""
        return self.content(row)[-count:]


@dataclass(frozen=True)
class Part:
    """One official part of a data set.

    Attributes:
        images: N of them.
        labels: (N,) class numbers from 0; with several labels an image (N,C): 1 shown, -1 not,
            0 difficult.
    """

    images: Images
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Official:
    """A data set as its owners split it.

    Attributes:
        train, val, test: the parts; val is None where there is none.
        class_names: by number.
        skipped: reason -> number of images that were left out.
        notes: what is odd about it and was kept, a line each.
    """

    train: Part
    val: Part | None
    test: Part
    class_names: tuple[str, ...]
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archive:
    """A file as its owners publish it.

    Attributes:
        name: of the file.
        gives: a file or folder that is there once it is unpacked.
        md5: hexadecimal, None where none is published.
    """

    name: str
    gives: str
    md5: str | None = None


@dataclass(frozen=True)
class Publication:
    """What is known of a data set before its files are read.

    Attributes:
        name: on the command line.
        title: as its authors call it, with the year.
        reader: `module:function`; the function takes the root (Path) and returns `Official`.
        layout: the files that are expected below the root, in one line.
        licence: terms, in a word or two.
        source: how to get it, in a sentence.
        figure: what its publication measures.
        counts: images of the official train, val and test part; None where there is no val, and
            where no count is stated for train.
        each: least and most training images a class, where they are known.
        classes: their number.
        selection: how the selection split is made, in words.
        archives: official files that may lie in the root unpacked or packed, in the order in which
            they are unpacked.
    """

    name: str
    title: str
    reader: str
    layout: str
    licence: str
    source: str
    figure: Figure
    counts: tuple[int | None, int | None, int]
    classes: int
    selection: str
    each: tuple[int, int] | None = None
    archives: tuple[Archive, ...] = ()
