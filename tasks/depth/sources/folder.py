"""Folders of image and depth pairs, listed or lying beside each other."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

from tasks.contract import DataError
from tasks.depth.sources import lists
from tasks.depth.sources.contract import Listing
from tasks.depth.sources.files import Listings
from tasks.depth.sources.lists import Line
from tasks.depth.sources.placing import MissingError, parent, place
from tasks.images import SUFFIXES
from tasks.names import printable

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.contract import Split
    from tasks.depth.recipe import DepthData

LAYOUT = (
    "train_files.txt and test_files.txt, lines of image and depth map below the root, or "
    "{train,test}/**/{rgb/NAME.jpg, depth/NAME.png or NAME.npy}; val_files.txt or val/ likewise"
)
LICENCE = "not stated in the folder; the owner knows"
SPARE = "depth map without an image"
OTHER = "file that is no image"

_NAMES: dict[Split, tuple[str, ...]] = {
    "training": ("train", "training"),
    "selection": ("val", "validation", "selection"),
    "test": ("test",),
}
_DEPTHS = (".png", ".npy")


def listing(root: Path, data: DepthData, split: Split) -> Listing | None:
    """The pairs of a split; None where there is none of selection.

    Raises:
        DataError: files are missing (the message has the layout) or malformed.
    """
    skipped: dict[str, int] = {}
    found = _list(root, data, split)
    if found is not None:
        lines = list(lists.read(found))
    else:
        folder = _one(root, [name for name in _NAMES[split] if (root / name).is_dir()])
        if folder is None and split == "selection":
            return None
        if folder is None:
            raise _missing(root, f"no {_NAMES[split][0]}_files.txt and no {_NAMES[split][0]}/")
        lines, skipped = _beside(root, folder)
    everywhere = ("",)
    try:
        placed = place(lines, Listings(root), (everywhere, everywhere), parent, data.missing_truth)
    except MissingError as error:
        raise _missing(root, str(error)) from None
    return Listing(placed.pairs, {**placed.skipped, **skipped})


def _list(root: Path, data: DepthData, split: Split) -> Path | None:
    if data.lists is not None:
        given = getattr(data.lists, split)
        return None if given is None else root / given
    names = [f"{name}_files.txt" for name in _NAMES[split]]
    found = _one(root, [name for name in names if (root / name).is_file()])
    return None if found is None else root / found


def _one(root: Path, names: list[str]) -> str | None:
    if len(names) > 1:
        raise DataError(
            f"`{printable(str(root))}` has both {names[0]} and {names[1]}; remove one of them"
        )
    return names[0] if names else None


def _missing(root: Path, what: str) -> MissingError:
    return MissingError(f"`{printable(str(root))}`: {what}; expected there: {LAYOUT}")


def _beside(root: Path, split: str) -> tuple[list[Line], dict[str, int]]:
    """Images in folders `rgb` with the depth maps of their names in `depth` beside."""
    lines, skipped, seen = list[Line](), defaultdict[str, int](int), set[str]()
    for folder, below, names in os.walk(root / split, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            raise DataError(f"`{printable(folder)}` is a second way to one folder; remove the link")
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        head, _, last = os.path.relpath(folder, root).replace(os.sep, "/").rpartition("/")
        if last != "rgb":
            continue
        depths = _depths(root / head / "depth")
        for name in sorted(name for name in names if not name.startswith(".")):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            if suffix.lower() not in SUFFIXES:
                skipped[OTHER] += 1
                continue
            depth = depths.pop(stem, None)
            lines.append(Line(f"{head}/rgb/{name}", depth and f"{head}/depth/{depth}"))
        if depths:
            skipped[SPARE] += len(depths)
    if not lines:
        raise _missing(root, f"there is no image in a folder `rgb` below {split}/")
    return lines, dict(skipped)


def _depths(folder: Path) -> dict[str, str]:
    """Stem -> name of the depth maps in a folder."""
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(".") or path.suffix.lower() not in _DEPTHS:
            continue
        if path.stem in found:
            raise DataError(
                f"`{printable(str(folder))}` has both {found[path.stem]} and {path.name}; remove "
                "one of them"
            )
        found[path.stem] = path.name
    return found
