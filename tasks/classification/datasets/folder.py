"""Any folder of images, a folder a class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.classification.datasets import splits
from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.files import Files, walk
from tasks.contract import DataError
from tasks.images import SUFFIXES
from tasks.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LAYOUT = (
    "ROOT/train/CLASS/**/*.jpg, ROOT/val/CLASS/**/*.jpg and ROOT/test/CLASS/**/*.jpg (or another "
    "kind of image); without `val` the selection split is held out of `train`, without `test` "
    "`val` is the test"
)

_VAL = ("val", "valid", "validation")
_HIDDEN = "hidden file or folder"
_NO_IMAGE = "file without an image's ending"
_OUTSIDE = "image outside the class folders"
_FEW = 3


@dataclass(frozen=True)
class _Found:
    """One split: class folder -> its images, and what was left out, by reason."""

    classes: dict[str, list[str]]
    left_out: dict[str, list[str]]


def read(
    root: Path,
    duplicates: Literal["refuse", "count"] = "refuse",
    progress: Callable[[int, int], None] | None = None,
) -> Official:
    """Find the images of a folder; none is decoded.

    The classes are the folders in `train`, in the order of their names; how deep an image lies
    below does not matter.

    Args:
        root: the folder.
        duplicates: what becomes of an image that is in two splits.
        progress: `(done, total)` files compared.

    Raises:
        DataError: the layout is another one, a class is empty or unknown to `train`, an image is
            in two splits.
    """
    folders, notes = _folders(root)
    found = {part: _scan(root, folder) for part, folder in folders.items()}
    names = tuple(found["train"].classes)
    left_out: dict[str, list[str]] = {}
    for part, split in found.items():
        notes += _compared(root / folders[part], split, names)
        for reason, paths in split.left_out.items():
            left_out.setdefault(reason, []).extend(paths)
    parts = {folders[part]: _part(root, split, names) for part, split in found.items()}
    notes += splits.judged(splits.duplicates(parts, progress), duplicates)
    notes += [f"left out: {_listed(paths)} ({reason})" for reason, paths in left_out.items()]
    val = folders.get("val")
    return Official(
        train=parts[folders["train"]],
        val=None if val is None else parts[val],
        test=parts[folders["test"]],
        class_names=tuple(map(printable, names)),
        skipped={reason: len(paths) for reason, paths in left_out.items()},
        notes=tuple(notes),
    )


def _folders(root: Path) -> tuple[dict[str, str], list[str]]:
    """The folder of each part, and what is odd about them."""
    where = printable(str(root))
    if not root.is_dir():
        raise DataError(f"there is no folder `{where}`; expected {LAYOUT}")
    have = sorted(path.name for path in root.iterdir() if _is_shown(path))
    vals = [name for name in _VAL if name in have]
    if len(vals) > 1:
        raise DataError(f"`{where}` has `{vals[0]}` and `{vals[1]}`, both for selection; keep one")
    notes = []
    if "test" in have or not vals:
        folders = {"train": "train", **({"val": vals[0]} if vals else {}), "test": "test"}
    else:
        folders = {"train": "train", "test": vals[0]}
        notes = [f"no `test`: `{vals[0]}` is the test, selection is held out of `train`"]
    for name in folders.values():
        if name not in have:
            raise DataError(f"`{where}` has no folder `{name}`; expected {LAYOUT}")
    others = [name for name in have if name not in folders.values()]
    if others:
        notes.append(f"no split and not read: {_listed(others)}")
    return folders, notes


def _scan(root: Path, folder: str) -> _Found:
    classes: dict[str, list[str]] = {
        path.name: [] for path in sorted((root / folder).iterdir()) if _is_shown(path)
    }
    left_out: dict[str, list[str]] = {}
    for below in walk(root / folder):
        reason = _why_not(below)
        if reason is None:
            classes[below.partition("/")[0]].append(f"{folder}/{below}")
        else:
            left_out.setdefault(reason, []).append(f"{folder}/{below}")
    return _Found(classes, left_out)


def _why_not(path: str) -> str | None:
    """The reason to leave out what lies there below a split's folder."""
    above, _, name = path.rstrip("/").rpartition("/")
    if name.startswith("."):
        return _HIDDEN
    if f".{name.rpartition('.')[2].lower()}" not in SUFFIXES:
        return _NO_IMAGE
    return None if above else _OUTSIDE


def _is_shown(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _compared(folder: Path, split: _Found, names: tuple[str, ...]) -> list[str]:
    """Refuse classes that nobody could learn or that are empty; note those that are missing."""
    where = printable(str(folder))
    if not split.classes:
        raise DataError(f"`{where}` has no class folder; expected {LAYOUT}")
    if len(names) < 2:
        raise DataError(f"`{where}` has images of one class, `{names[0]}`; two are needed")
    for name, files in split.classes.items():
        if not files:
            raise DataError(
                f"the class folder `{where}/{printable(name)}` has no image; put some there or "
                "remove it"
            )
    strange = [name for name in split.classes if name not in names]
    if strange:
        count = sum(len(split.classes[name]) for name in strange)
        raise DataError(
            f"`{where}` has {_listed(strange)}, which `train` lacks: {count} images of classes "
            "that nothing is learned of; remove them or give `train` images of them"
        )
    missing = [name for name in names if name not in split.classes]
    if not missing:
        return []
    lacking = f"{len(missing)} of {len(names)} classes"
    return [f"`{folder.name}` has no image of {lacking}: {_listed(missing)}"]


def _part(root: Path, split: _Found, names: tuple[str, ...]) -> Part:
    lists = [split.classes.get(name, []) for name in names]
    labels = np.repeat(np.arange(len(names)), [len(files) for files in lists])
    return Part(Files(root, tuple(file for files in lists for file in files)), labels)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{printable(name)}`" for name in names[:_FEW])
    return shown if len(names) <= _FEW else f"{shown} and {len(names) - _FEW} more"
