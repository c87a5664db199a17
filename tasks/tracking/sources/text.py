"""Text files of benchmarks: boxes, labels, lists of names. Numbers stand between commas, tabs,
blanks or semicolons, mixed as they come."""

from __future__ import annotations

from collections import Counter
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import DataError
from tasks.names import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.tracking.sources.places import Place

_BLANKS = str.maketrans(",;\t", "   ")


def text(place: Place, name: str) -> str:
    """A file as text.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        return place.read(name).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"`{path(place, name)}` is no text file") from None


def facts(name: str) -> list[str]:
    """The lines of a file of published facts that comes with the package, without comments."""
    lines = (resources.files(__package__) / "facts" / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def path(place: Place, name: str) -> str:
    """What messages call a file."""
    return f"{place.path}/{printable(name)}"


def rows(
    place: Place, name: str, columns: tuple[int, ...], advice: str = ""
) -> NDArray[np.float64]:
    """The lines of a file, (N,K) of as many numbers each, NaN among them.

    Args:
        columns: what K may be.
        advice: what to do where it is another.

    Raises:
        DataError: naming the line that is empty, has another number of numbers or something else.
    """
    content = text(place, name).translate(_BLANKS).rstrip()
    words = [line.split() for line in content.splitlines()]
    if not words:
        raise DataError(f"`{path(place, name)}` is empty: no box is listed")
    expected = columns if len(words[0]) not in columns else (len(words[0]),)
    for number, line in enumerate(words, 1):
        if len(line) not in expected:
            raise DataError(
                f"`{path(place, name)}` line {number} has {len(line)} numbers, "
                f"{' or '.join(map(str, expected))} are expected{advice}"
            )
    try:
        if "_" in content:  # Python takes it for part of a number.
            raise ValueError
        found = np.array([list(map(float, line)) for line in words])
    except ValueError:
        raise DataError(_no_numbers(place, name, words)) from None
    if np.isinf(found).any():
        row = int(np.isinf(found).any(1).argmax())
        raise DataError(f"`{path(place, name)}` line {row + 1} has an infinite number")
    return found


def _no_numbers(place: Place, name: str, words: list[list[str]]) -> str:
    for number, line in enumerate(words, 1):
        for word in line:
            if not _number(word):
                return f"`{path(place, name)}` line {number}: `{printable(word)}` is no number"
    raise AssertionError("all are numbers")


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def labels(place: Place, name: str, count: int, largest: int) -> NDArray[np.int64] | None:
    """A whole number for each of `count` frames, in 0 to `largest`, on one line or a line each;
    None where there is no such file.

    Raises:
        DataError: naming the frame whose label is another, or their number.
    """
    if name not in place.files:
        return None
    words = text(place, name).translate(_BLANKS).split()
    if len(words) != count:
        raise DataError(f"`{path(place, name)}` has {len(words)} labels for {count} frames")
    known = {str(number): number for number in range(largest + 1)}
    # Some tools write whole numbers with a fraction.
    found = [known.get(word.removesuffix(".0"), -1) for word in words]
    if -1 in found:
        frame = found.index(-1)
        raise DataError(
            f"`{path(place, name)}`: the label of frame {frame + 1} is `{printable(words[frame])}`,"
            f" whole numbers from 0 to {largest} are expected"
        )
    return np.array(found, np.int64)


def names(place: Place, name: str) -> list[str]:
    """The names that a file lists, one a line.

    Raises:
        DataError: it is empty, lists a name twice, or one that leads out of the folder.
    """
    found = [line.strip() for line in text(place, name).splitlines() if line.strip()]
    check_names(found, path(place, name))
    return found


def check_names(found: list[str], where: str) -> None:
    """Raise DataError unless these are names of sequences, each once."""
    if not found:
        raise DataError(f"`{where}` lists no sequence")
    for name in found:
        if "/" in name or "\\" in name or name in (".", ".."):
            raise DataError(f"`{where}`: `{printable(name)}` is no name of a sequence")
    name, count = Counter(found).most_common(1)[0]
    if count > 1:
        raise DataError(f"`{where}` lists the sequence `{printable(name)}` {count} times")
