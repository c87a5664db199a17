"""Lists of pairs: a line has the image, its depth map, and whatever (BTS: the focal length)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tasks.contract import DataError
from tasks.names import printable

if TYPE_CHECKING:
    from pathlib import Path

MISSING = "None"
"""What KITTI's list of BTS has in place of a depth map that does not exist."""


class Line(NamedTuple):
    """A pair as it is listed; `depth` is None where the list says that there is none."""

    image: str
    depth: str | None


def read(path: Path) -> tuple[Line, ...]:
    """Read a list in UTF-8, empty lines left out.

    A `/` at the head of a path, as the lists of MIM-Depth-Estimation and of BTS's NYUv2 have it,
    is that of the data's root.

    Raises:
        DataError: a list that cannot be read, is empty, has a line of one word, a path that leads
            out of the root, or an image twice.
    """
    name = printable(str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the list `{name}`: {error}") from None
    lines = tuple(
        _line(line, f"`{name}` line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    )
    if not lines:
        raise DataError(f"the list `{name}` is empty")
    image, count = Counter(line.image for line in lines).most_common(1)[0]
    if count > 1:
        raise DataError(f"`{name}` lists `{printable(image)}` {count} times")
    return lines


def _line(text: str, where: str) -> Line:
    words = text.split()
    if len(words) < 2:
        raise DataError(
            f"{where}: expected an image and its depth map, found `{printable(text.strip())}`"
        )
    image, depth = (word.lstrip("/") for word in words[:2])
    for path in (image, depth):
        if ".." in path.split("/"):
            raise DataError(f"{where}: `{printable(path)}` leads out of the data's folder")
    return Line(image, None if depth == MISSING else depth)
