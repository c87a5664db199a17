"""What the readers of official layouts share: lists, folders, and the checks that go with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.classification.datasets.contract import Images, Part
from tasks.classification.datasets.files import Files
from tasks.contract import DataError
from tasks.images import SUFFIXES


class MissingError(DataError):
    """A file or folder of the official layout is not there."""


def base(root: Path, *names: str) -> Path:
    """The first of the folders `names` below the root that is there, else the root itself: people
    give the folder that they unpacked into as well as the one that came out of it."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def need(path: Path) -> Path:
    """The path itself.

    Raises:
        MissingError: nothing is there.
    """
    if not path.exists():
        raise MissingError(f"`{path}` is missing")
    return path


def rows(path: Path, columns: int, separator: str | None = None) -> list[list[str]]:
    """The lines of a list that are not empty, each split into its columns.

    Args:
        path: a text file in UTF-8.
        columns: their number; the last one may hold blanks.
        separator: between columns; any blanks by default.

    Raises:
        MissingError: it is not there.
        DataError: it is empty, no text, or a line has too few columns.
    """
    try:
        text = need(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the list `{path}`: {error}") from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        cells = line.strip().split(separator, columns - 1)
        if len(cells) != columns:
            raise DataError(
                f"`{path}` line {number}: expected {columns} columns, found {line.strip()!r}"
            )
        found.append(cells)
    if not found:
        raise DataError(f"the list `{path}` is empty")
    return found


def column(path: Path) -> list[str]:
    """The lines of a list that are not empty; raises as `rows` does."""
    return [line for (line,) in rows(path, 1)]


def number(text: str, path: Path) -> int:
    """The whole number that a list has in one of its columns.

    Raises:
        DataError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise DataError(f"`{path}`: expected a whole number, found {text!r}") from None


def numbered(names: Iterable[str]) -> dict[str, int]:
    """Class name -> number, in the order given.

    Raises:
        DataError: a name stands there twice.
    """
    names = list(names)
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(f"the class `{name}` stands {count} times in the list of classes")
    return {name: index for index, name in enumerate(names)}


def class_number(name: str, numbers: dict[str, int], path: Path) -> int:
    """The number of a class that a list names.

    Raises:
        DataError: the data set has no such class.
    """
    if name not in numbers:
        raise DataError(f"`{path}` names the class `{name}`, which is none of the {len(numbers)}")
    return numbers[name]


def from_one(ids: Sequence[int], classes: int, path: Path) -> NDArray[np.int64]:
    """Class numbers from 0 of ids that are counted from 1.

    Raises:
        DataError: an id outside of 1 .. classes.
    """
    for found in ids:
        if not 1 <= found <= classes:
            raise DataError(f"`{path}` has the class id {found}; expected 1 to {classes}")
    return np.array(ids, np.int64) - 1


def part(
    root: Path, files: Sequence[str], labels: Sequence[int] | NDArray[np.int64], path: Path
) -> Part:
    """The images of a list with their labels.

    Args:
        root: what the files are below.
        files: paths with forward slashes, as they stand in the list.
        labels: (N,) or (N,C).
        path: the list, for messages.

    Raises:
        MissingError: files are not there.
        DataError: a path leads out of the root.
    """
    for file in files:
        if file.startswith("/") or ".." in file.split("/"):
            raise DataError(f"`{path}` lists `{file}`, which leads out of the data set")
    lost = absent(root, files)
    if lost:
        raise MissingError(
            f"{len(lost)} of {len(files)} images that `{path}` lists are missing, the first is "
            f"`{root / lost[0]}`"
        )
    images: Images = Files(root, tuple(files))
    return Part(images, np.asarray(labels, np.int64))


def absent(root: Path, files: Sequence[str]) -> list[str]:
    """Which of the files are not there; one look at each folder, not at each file."""
    listed: dict[str, set[str]] = {}
    lost = []
    for file in files:
        folder, _, name = file.rpartition("/")
        if folder not in listed:
            listed[folder] = _names(root / folder)
        if name not in listed[folder]:
            lost.append(file)
    return lost


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()


def class_folders(root: Path) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones left out.

    Raises:
        MissingError: the folder is not there, or has no folder in it.
    """
    found = sorted(
        entry.name
        for entry in os.scandir(need(root))
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if not found:
        raise MissingError(f"`{root}` has no class folders")
    return found


def images_in(folder: Path) -> list[str]:
    """The names of the images in a folder, sorted; hidden files left out."""
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if not entry.name.startswith(".") and os.path.splitext(entry.name)[1].lower() in SUFFIXES  # noqa: PTH122
    )
