"""From what a list names to the files that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.contract import DataError
from tasks.depth.maps import COUNT
from tasks.depth.sources.contract import Listing, Pair
from tasks.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.depth.sources.files import Listings
    from tasks.depth.sources.lists import Line

NO_TRUTH = "no depth map"


class MissingError(DataError):
    """A file or folder of the expected layout is not there."""


def place(
    lines: Sequence[Line],
    there: Listings,
    folders: tuple[Sequence[str], Sequence[str]],
    sequence: Callable[[str], str],
    rule: str,
) -> Listing:
    """Find the files of a list.

    Args:
        lines: of the list.
        there: the files of the root.
        folders: below the root, in which images and depth maps are looked for, in their order;
            each is empty or ends in `/`.
        sequence: of an image, by its name.
        rule: `data.missing_truth`.

    Raises:
        MissingError: images are not there.
        DataError: depth maps are not there, and the rule is to refuse.
    """
    pairs, lost, blind = [], [], []
    for line in lines:
        image = _first(line.image, folders[0], there)
        depth = None if line.depth is None else _first(line.depth, folders[1], there)
        if line.depth is None:
            blind.append(line)
        elif image is None:
            lost.append(line.image)
        elif depth is None:
            blind.append(line)
        else:
            pairs.append(Pair(line.image, image, depth, sequence(line.image)))
    if lost:
        first = printable(str(there.root / f"{folders[0][0]}{lost[0]}"))
        raise MissingError(
            f"{len(lost)} of {len(lines)} images are missing, the first is `{first}`"
        )
    if not blind:
        return Listing(tuple(pairs))
    if rule == "refuse":
        first = printable(blind[0].image)
        raise DataError(
            f"{len(blind)} of {len(lines)} images have no depth map, the first is `{first}` (its "
            f"depth map: {blind[0].depth or 'none is listed'}); {COUNT}"
        )
    return Listing(tuple(pairs), {NO_TRUTH: len(blind)})


def _first(name: str, folders: Sequence[str], there: Listings) -> str | None:
    return next((path for folder in folders if (path := f"{folder}{name}") in there), None)


def parent(name: str) -> str:
    """The folder that an image lies in, without the name that only says that images are in it."""
    folders = name.split("/")[:-1]
    while folders and folders[-1].lower() in ("rgb", "image", "images", "color", "colour", "data"):
        folders.pop()
    return "/".join(folders)
