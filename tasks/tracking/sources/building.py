"""From files to a sequence, checked: a fault is named by sequence and frame."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.contract import DataError
from tasks.images import SUFFIXES
from tasks.names import printable
from tasks.tracking.sequences import Sequence
from tasks.tracking.sources import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tasks.tracking.sources.frames import Images
    from tasks.tracking.sources.places import Place

    Boxes = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_NUMBERED = re.compile(r".*?([0-9]+)[^0-9]*\.[^.]+", re.DOTALL)
"""The last number before the ending."""


class Read(NamedTuple):
    """A sequence, and the hash of what decides its frames and boxes."""

    sequence: Sequence
    digest: bytes


class Found(NamedTuple):
    """A sequence that is known by its name only, and how it is read."""

    name: str
    read: Callable[[], Read]


@dataclass(frozen=True)
class Truth:
    """What is known of a sequence's target, as in `Sequence`."""

    boxes: Boxes
    absent: Flags | None = None
    cover: NDArray[np.int64] | None = None
    visible: Flags | None = None
    attributes: tuple[str, ...] = ()
    labelled: bool = True


def frames(
    place: Place | None, sequence: str, where: str, between: tuple[int, int] | None = None
) -> tuple[Images, NDArray[np.int64]]:
    """The images in a folder in the order of their numbers, the last ones in their names, and the
    bytes of each.

    Args:
        place: the folder; None where it is not there.
        sequence: whose they are.
        where: the folder's path, for the message.
        between: first and last number that belong to the sequence; all where left out.

    Raises:
        DataError: there are less than two, numbers are missing or come twice.
    """
    if place is None:
        raise _refusal(sequence, f"the folder `{where}` is missing, and so is `{where}.zip`")
    files = place.files
    numbered = sorted((_number(name, sequence), name) for name in files if is_image(name))
    if between is not None:
        first, last = between
        numbered = [(number, name) for number, name in numbered if first <= number <= last]
    if len(numbered) < 2:
        some = "no image" if not numbered else f"one image alone, `{printable(numbered[0][1])}`,"
        raise _refusal(sequence, f"there is {some} in `{place.path}`; a video has two or more")
    _unbroken(numbered, sequence, place.path, between)
    names = [name for _, name in numbered]
    return place.images(sequence, names), np.array([files[name] for name in names], np.int64)


def is_image(name: str) -> bool:
    """Whether a file is one, by its name."""
    return name[name.rfind(".") :].lower() in SUFFIXES and not name.startswith(".")


def _number(name: str, sequence: str) -> int:
    found = _NUMBERED.fullmatch(name)
    if found is None:
        raise _refusal(
            sequence, f"the frame `{printable(name)}` has no number, which says where it belongs"
        )
    return int(found.group(1))


def _unbroken(
    numbered: list[tuple[int, str]], sequence: str, where: str, between: tuple[int, int] | None
) -> None:
    numbers = np.array([number for number, _ in numbered])
    steps = np.diff(numbers)
    if (steps == 0).any():
        second = numbered[int((steps == 0).argmax()) + 1][1]
        raise _refusal(
            sequence, f"two frames have the number of `{printable(second)}` in `{where}`"
        )
    # Every fifth frame of a video is a video; one with a hole is not.
    step = int(steps.min()) if between is None else 1
    gap = int((steps != step).argmax()) if (steps != step).any() else None
    if gap is not None:
        before, after = numbered[gap][1], numbered[gap + 1][1]
        raise _refusal(
            sequence,
            f"frames are missing in `{where}`: after `{printable(before)}` comes "
            f"`{printable(after)}`",
        )
    if between is not None and (numbers[0], numbers[-1]) != between:
        raise _refusal(
            sequence,
            f"it has the frames {between[0]} to {between[1]}, in `{where}` there are "
            f"{numbers[0]} to {numbers[-1]} of them",
        )


def boxes(
    place: Place,
    name: str,
    sequence: str,
    known: str = "NaN",
    advice: str = "",
) -> Boxes:
    """The boxes of a file, (N,4) x, y, width, height; NaN in every number or in none of a box.

    Args:
        known: `all` where the benchmark has no unknown box, else `NaN`.
        advice: what to do where there are not four numbers.

    Raises:
        DataError: naming sequence and line.
    """
    if name not in place.files:
        raise _refusal(sequence, f"its boxes `{text.path(place, name)}` are missing")
    try:
        found = text.rows(place, name, (4,), advice)
    except DataError as error:
        raise _refusal(sequence, str(error)) from None
    check_unknown(found, sequence, text.path(place, name), known)
    return found


def check_unknown(found: Boxes, sequence: str, where: str, known: str) -> None:
    """Raise DataError for a box of which a part is NaN, or all where every one is known."""
    missing = np.isnan(found)
    wrong = missing.any(1) if known == "all" else missing.any(1) & ~missing.all(1)
    if wrong.any():
        what = "NaN" if known == "all" else "a number and NaN"
        raise _refusal(sequence, f"`{where}` line {int(wrong.argmax()) + 1} has {what} in its box")


def labels(
    place: Place, name: str, sequence: str, count: int, largest: int = 1
) -> NDArray[np.int64] | None:
    """As `text.labels`, with the sequence in the message."""
    try:
        return text.labels(place, name, count, largest)
    except DataError as error:
        raise _refusal(sequence, str(error)) from None


def flagged(place: Place | None, sequence: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes that `SEQUENCE.txt` in a folder has a 1 for; none where there is no file."""
    found = None if place is None else labels(place, f"{sequence}.txt", sequence, len(known))
    if found is None:
        return ()
    return tuple(name for name, flag in zip(known, found, strict=True) if flag)


def first_only(given: Boxes, count: int) -> Boxes:
    """(count,4) of which the first alone is known."""
    whole = np.full((count, 4), np.nan)
    whole[0] = given[0]
    return whole


def build(images: Images, sizes: NDArray[np.int64], truth: Truth, where: str) -> Read:
    """A sequence of frames and boxes that belong together.

    Args:
        images: the frames.
        sizes: bytes of each, for the hash.
        truth: of the target.
        where: the file of the boxes, for messages.

    Raises:
        DataError: more or fewer boxes than frames; a first box that is empty, unknown or outside
            the image; a first frame that cannot be read.
    """
    name, given = images.sequence, truth.boxes
    if len(given) != len(images):
        more = "more" if len(given) > len(images) else "fewer"
        row = min(len(given), len(images)) - 1
        raise _refusal(
            name,
            f"`{where}` has {more} boxes than there are frames, {len(given)} for {len(images)}; "
            f"the last that has both is `{images.name(row)}`",
        )
    x, y, w, h = given[0].tolist()
    if np.isnan(given[0]).any():
        raise _refusal(name, f"the box of its first frame `{images.name(0)}` is NaN in `{where}`")
    if w <= 0 or h <= 0:
        raise _refusal(
            name, f"the box of its first frame `{images.name(0)}` is empty in `{where}`: {w} x {h}"
        )
    width, height = images.measure()
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise _refusal(
            name,
            f"the box of its first frame `{images.name(0)}`, {[x, y, w, h]} in `{where}`, is "
            f"outside the image of {width}x{height} pixels",
        )
    sequence = Sequence(
        name,
        images,
        given,
        truth.absent,
        truth.cover,
        truth.visible,
        truth.attributes,
        truth.labelled,
    )
    return Read(sequence, _digest(sequence, images.files, sizes))


def _digest(sequence: Sequence, files: list[bytes], sizes: NDArray[np.int64]) -> bytes:
    """Hash of a sequence's name, boxes and labels, and of its frames' names and sizes in bytes."""
    facts = repr((sequence.name, sequence.attributes, sequence.labelled))
    whole = hashlib.sha256(facts.encode("utf-8", "surrogateescape"))
    # No name has a `/`.
    whole.update(b"/".join(files))
    whole.update(sizes.astype("<i8").tobytes())
    for values in (sequence.boxes, sequence.absent, sequence.cover, sequence.visible):
        whole.update(b"-" if values is None else values.astype("<f8").tobytes())
    return whole.digest()


def _refusal(sequence: str, why: str) -> DataError:
    return DataError(f"sequence `{printable(sequence)}`: {why}")
