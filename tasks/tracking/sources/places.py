"""Folders in which files are looked for, on disk or in archives.

`NAME.zip` stands for the folder `NAME`, whether its members lie in a folder of that name in it or
not. A folder that is neither there nor packed by itself is looked for in the other archives beside.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tasks import images
from tasks.contract import DataError
from tasks.names import printable
from tasks.tracking.sources.archives import Archive, extract
from tasks.tracking.sources.frames import Files, Images, Packed

_ZIP = ".zip"


class Place(ABC):
    """A folder."""

    @property
    @abstractmethod
    def path(self) -> str:
        """What messages call it."""

    @property
    @abstractmethod
    def files(self) -> dict[str, int]:
        """Name -> bytes of the files in it, archives among them."""

    @property
    @abstractmethod
    def folders(self) -> Sequence[str]:
        """Names of the folders in it, sorted, packed ones among them."""

    @abstractmethod
    def inside(self, name: str) -> Place | None:
        """The folder of a name in it, which has no `/`; None where there is none."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The bytes of a file in it.

        Raises:
            DataError: it cannot be read.
        """

    @abstractmethod
    def images(self, sequence: str, names: Sequence[str]) -> Images:
        """Files in it as the frames of a sequence."""

    def at(self, path: str) -> Place | None:
        """The folder at a path below it, with `/`."""
        place: Place | None = self
        for name in path.split("/"):
            place = place and place.inside(name)
        return place


class Folder(Place):
    """A folder on disk."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    @property
    def path(self) -> str:
        return printable(self._path)

    @cached_property
    def _found(self) -> tuple[dict[str, int], list[str]]:
        files, folders = dict[str, int](), list[str]()
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if entry.is_dir():
                        folders.append(entry.name)
                    else:
                        files[entry.name] = _bytes(entry)
        except OSError as error:
            raise DataError(f"cannot read the folder `{self.path}`: {error.strerror}") from None
        return files, folders

    @property
    def files(self) -> dict[str, int]:
        return self._found[0]

    @cached_property
    def folders(self) -> Sequence[str]:
        files, folders = self._found
        packed = (name.removesuffix(_ZIP) for name in files if name.endswith(_ZIP))
        return sorted({name for name in (*folders, *packed) if not name.startswith(".")})

    def inside(self, name: str) -> Place | None:
        # Asked for, not listed: of ten thousand folders the parent is listed once at most.
        path = Path(self._path, name)
        if path.is_dir():
            return Folder(path)
        if path.with_name(name + _ZIP).is_file():
            return unpacked(path.with_name(name + _ZIP))
        for archive in self._archives:
            if f"{name}/" in archive.folders:
                return Member(archive, f"{name}/")
        return None

    @cached_property
    def _archives(self) -> list[Archive]:
        names = sorted(name for name in self.files if name.endswith(_ZIP))
        return [Archive(Path(self._path, name)) for name in names]

    def read(self, name: str) -> bytes:
        return _stored(Path(self._path, name))

    def images(self, sequence: str, names: Sequence[str]) -> Images:
        return Files(sequence, names, self._path)


class Member(Place):
    """A folder in an archive; `prefix` is its path there, with `/` at its end unless empty."""

    def __init__(self, archive: Archive, prefix: str) -> None:
        self._archive, self._prefix = archive, prefix

    @property
    def path(self) -> str:
        return printable(f"{self._archive.path}/{self._prefix}".rstrip("/"))

    @property
    def files(self) -> dict[str, int]:
        members = self._archive.folders.get(self._prefix, {})
        return {name: member.size for name, member in members.items()}

    @cached_property
    def folders(self) -> Sequence[str]:
        start = len(self._prefix)
        below = (folder[start:-1] for folder in self._archive.folders if self._holds(folder))
        return sorted(name for name in below if "/" not in name and not name.startswith("."))

    def _holds(self, folder: str) -> bool:
        return folder.startswith(self._prefix) and folder != self._prefix

    def inside(self, name: str) -> Place | None:
        below = f"{self._prefix}{name}/"
        return Member(self._archive, below) if below in self._archive.folders else None

    def read(self, name: str) -> bytes:
        member = self._archive.folders[self._prefix][name]
        return extract(self._archive.path, member, f"{self.path}/{printable(name)}")

    def images(self, sequence: str, names: Sequence[str]) -> Images:
        members = self._archive.folders[self._prefix]
        chosen = [members[name] for name in names]
        return Packed(sequence, names, self._archive.path, self._prefix, chosen)


def unpacked(path: Path) -> Place:
    """What an archive stands for: the folder of its name, in it or unpacked to.

    Raises:
        DataError: it is no archive.
    """
    archive = Archive(path)
    top = Member(archive, "")
    return top.inside(path.stem) or top


def root(path: Path, expected: str) -> Place:
    """A data set's folder, or the archive that holds it.

    Args:
        expected: the layout, for the message.

    Raises:
        DataError: there is neither.
    """
    if path.is_dir():
        return Folder(path)
    if path.is_file() and path.suffix == _ZIP:
        return unpacked(path)
    raise DataError(f"there is no folder `{printable(str(path))}`; expected: {expected}")


def _bytes(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError as error:
        raise images.unreadable(Path(entry.path), error) from None


def _stored(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise images.unreadable(path, error) from None
