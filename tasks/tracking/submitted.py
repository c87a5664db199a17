"""A file that is to be sent to a benchmark's server, looked through."""

from __future__ import annotations

import re
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Listed
from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import DataError
from tasks.names import printable
from tasks.tracking import lines

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.tracking.sequences import Sequence

LONGEST_LINE = 512
"""Bytes a frame at most, so that no archive unpacks to more than its boxes can be."""
GIVEN = 1.0
"""Pixels by which the first box may differ from the given one: fewer, since some write whole
numbers; coordinates that count from 1 differ by as much."""


class Form(ABC):
    """What a server takes, as names in an archive and their lines."""

    def problems(self, file: Path, sequences: Listed[Sequence]) -> list[str]:
        """What the server would not take, a line each.

        Raises:
            DataError: the file is no zip archive.
        """
        try:
            with zipfile.ZipFile(file) as archive:
                return list(self._problems(archive, sequences))
        except OSError as error:
            raise DataError(f"cannot read `{file}`: {error.strerror}") from None
        except zipfile.BadZipFile:
            raise DataError(f"`{file}` is no zip archive, or is truncated") from None

    @abstractmethod
    def files(self, sequence: str, names: Counter[str]) -> Mapping[str, list[str]]:
        """Kind (`boxes`, `times`) -> names of a sequence's files: what is in the archive, and what
        has to be."""

    def _problems(self, archive: zipfile.ZipFile, sequences: Listed[Sequence]) -> Iterator[str]:
        # Some programs write folders as entries of their own.
        names = Counter(name for name in archive.namelist() if not name.endswith("/"))
        expected = {sequence.name: self.files(sequence.name, names) for sequence in sequences}
        own = {name for kinds in expected.values() for files in kinds.values() for name in files}
        folder = _common_folder(names)
        if folder is not None and not own & set(names):
            yield f"all files lie in a folder `{printable(folder)}`: pack what is in it"
            return
        yield from (
            f"`{printable(name)}` is none of the set's files" for name in sorted({*names} - own)
        )
        yield from (f"`{name}` is there {n} times" for name, n in names.items() if n > 1)
        for sequence in sequences:
            kinds = expected[sequence.name]
            for kind, files in kinds.items():
                for name in files:
                    if name not in names:
                        yield f"`{name}` is missing"
                        continue
                    try:
                        content = _content(archive, name, len(sequence))
                        _check(kind, content, name, sequence, len(kinds["boxes"]))
                    except DataError as error:
                        yield str(error)


class _Got10k(Form):
    def files(self, sequence: str, names: Counter[str]) -> Mapping[str, list[str]]:
        start = f"{sequence}/{sequence}"
        numbered = re.compile(rf"{re.escape(start)}_\d{{3}}\.txt")
        count = sum(numbered.fullmatch(name) is not None for name in names)
        boxes = [f"{start}_{run:03d}.txt" for run in range(1, max(1, count) + 1)]
        return {"boxes": boxes, "times": [f"{start}_time.txt"]}


class _TrackingNet(Form):
    def files(self, sequence: str, names: Counter[str]) -> Mapping[str, list[str]]:
        return {"boxes": [f"{sequence}.txt"]}


GOT10K: Form = _Got10k()
TRACKINGNET: Form = _TrackingNet()


def _check(kind: str, content: bytes, name: str, sequence: Sequence, runs: int) -> None:
    """Raise DataError for the first thing that is wrong with a file."""
    if kind == "boxes":
        boxes = lines.boxes(content, name, lines.commas)
        _require_frames(len(boxes), name, sequence)
        if (boxes[:, 2:] < 0).any():
            line = int((boxes[:, 2:] < 0).any(1).argmax()) + 1
            raise DataError(f"`{name}` line {line}: width or height is negative")
        given = sequence.boxes[0]
        if (np.abs(boxes[0] - given) >= GIVEN).any():
            raise DataError(f"`{name}` line 1 is {_text(boxes[0])}, the given box {_text(given)}")
        return
    counts = tuple(sorted({1, runs}))
    said = "1 is expected" if runs == 1 else f"1 is expected, or {runs}, one for each repetition"
    times = lines.numbers(content, name, lines.commas, counts, said)
    _require_frames(len(times), name, sequence)
    for line, values in enumerate(times, 1):
        if min(values) < 0:
            raise DataError(f"`{name}` line {line}: a time is negative")


def _require_frames(count: int, name: str, sequence: Sequence) -> None:
    if count != len(sequence):
        raise DataError(f"`{name}` has {count} lines for {len(sequence)} frames")


def _content(archive: zipfile.ZipFile, name: str, frames: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > LONGEST_LINE * frames:
        raise DataError(f"`{name}` has {info.file_size} bytes, too many for {frames} lines")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise DataError(f"`{name}` is damaged in the archive") from None
    except (RuntimeError, NotImplementedError):
        raise DataError(f"`{name}` is encrypted, or packed in a way that is not read") from None


def _common_folder(names: Counter[str]) -> str | None:
    folders = {name.partition("/")[0] for name in names if "/" in name}
    flat = any("/" not in name for name in names)
    return folders.pop() if len(folders) == 1 and not flat else None


def _text(box: Listed[float]) -> str:
    return ",".join(f"{value:g}" for value in box)
