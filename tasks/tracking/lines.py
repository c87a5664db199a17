"""Lines of numbers, as trackers write them and servers take them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import DataError
from tasks.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_BETWEEN = re.compile(r"\s*,\s*|\s+")
BOX = "a box has 4: x, y, width, height"


def anyhow(line: str) -> list[str]:
    """The words of a line between commas, tabs or blanks."""
    return _BETWEEN.split(line.strip())


def commas(line: str) -> list[str]:
    """The words of a line between commas, as servers read them."""
    return line.split(",")


def boxes(
    content: bytes,
    place: str,
    split: Callable[[str], list[str]] = anyhow,
    missing: bool = False,
) -> NDArray[np.float64]:
    """(T,4) of a file with a box a line.

    Args:
        place: what messages call the file.
        missing: whether a number may be NaN.

    Raises:
        DataError: naming the line that has no four finite numbers; the file is no text, or empty.
    """
    found = _regular(content)
    if found is not None:
        return found
    return np.array(numbers(content, place, split, (4,), BOX, missing))


def _regular(content: bytes) -> NDArray[np.float64] | None:
    """(T,4) of a file without a fault and with commas alone between its numbers, several times
    faster; None of any other."""
    try:
        lines = content.decode("ascii").rstrip().splitlines()
        found = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2) if lines else None
    except ValueError:
        return None
    # Empty lines are passed over.
    whole = found is not None and found.shape == (len(lines), 4) and np.isfinite(found).all()
    return found if whole else None


def numbers(
    content: bytes,
    place: str,
    split: Callable[[str], list[str]],
    counts: tuple[int, ...],
    expected: str,
    missing: bool = False,
) -> list[list[float]]:
    """The numbers of each line.

    Args:
        counts: how many a line may have.
        expected: that in words, for messages.
        missing: whether one may be NaN.

    Raises:
        DataError: naming the line that has others; the file is no text, or empty.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise DataError(f"`{place}` is no text file") from None
    lines = text.rstrip().splitlines()
    if not lines:
        raise DataError(f"`{place}` is empty")
    found = []
    for line, words in enumerate(map(split, lines), 1):
        values = [_number(word, f"`{place}` line {line}", missing) for word in words]
        if len(values) not in counts:
            several = "1 number" if len(values) == 1 else f"{len(values)} numbers"
            raise DataError(f"`{place}` line {line} has {several}, {expected}")
        found.append(values)
    return found


def _number(word: str, where: str, missing: bool) -> float:
    try:
        value = float(word)
    except ValueError:
        raise DataError(f"{where}: `{printable(word)}` is no number") from None
    if "_" in word:  # Python takes it for part of a number.
        raise DataError(f"{where}: `{printable(word)}` is no number")
    if not math.isfinite(value) and not (missing and math.isnan(value)):
        raise DataError(f"{where}: `{printable(word)}` is not finite")
    return value
