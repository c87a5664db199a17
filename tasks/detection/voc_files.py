"""Pascal VOC folders as arrays.

`difficult` objects become crowd regions: neither trained on nor, in evaluation, found or missed. A
detection on one is then ignored by COCO's rule, by the share of its own area that lies in it, where
VOC's own code asks for an IoU above 0.5.
"""

from __future__ import annotations

import hashlib
from reprlib import repr as short
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from tasks.contract import DataError
from tasks.detection.annotations import Annotations, Images, Objects
from tasks.detection.boxes import checked
from tasks.detection.masks import LARGEST
from tasks.detection.mending import Mending, Rule
from tasks.images import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from tasks.detection.recipe import DetectionData

ANNOTATIONS = "Annotations"
"""Folder of the XML files, beside that of the images."""


def read(
    path: Path, folder: Path, splits: Sequence[tuple[Path, Path]], data: DetectionData
) -> tuple[Annotations, str]:
    """Read the images of a list and what is annotated in them, and hash all of it.

    Corners in the files count from 1 and belong to the object: x is xmin - 1, the width
    xmax - xmin + 1. Classes are all names in the files of all splits in the order of the alphabet,
    which is VOC's own order of its twenty. Images and objects are numbered from 1.

    Args:
        path: the list, a name a line.
        folder: of the images.
        splits: list and image folder of every split; a list may be missing.
        data: `repair`.

    Raises:
        DataError: naming the first file, and the object in it, that is wrong.
    """
    mending = Mending(str(path), data.repair)
    categories = _categories(splits)
    rows = {name: row for row, name in enumerate(categories)}
    names = _names(path, mending)
    files = _image_files(folder)
    digest = hashlib.sha256("\n".join(categories).encode())
    sizes: list[tuple[int, int]] = []
    found: list[tuple[int, int, list[float], bool]] = []
    for image, name in enumerate(names):
        file = _annotation(folder, name)
        content = _bytes(file)
        digest.update(f"{name}\n".encode() + content)
        root = _root(content, file)
        sizes.append(_size(root, file))
        for number, entry in enumerate(root.findall("object"), start=1):
            box = _box(entry, sizes[-1], f"object {number} of {file}", mending)
            if box is not None:
                crowd = _difficult(entry, f"object {number} of {file}", mending)
                found.append((image, rows[_name(entry, file)], box, crowd))
    boxes = np.array([box for _, _, box, _ in found], np.float64).reshape(-1, 4)
    annotations = Annotations(
        Images(
            np.arange(1, len(names) + 1),
            tuple(files.get(name, f"{name}.jpg") for name in names),
            np.array(sizes, np.int64),
        ),
        Objects(
            np.arange(1, len(found) + 1),
            np.array([image for image, _, _, _ in found], np.int64),
            np.array([category for _, category, _, _ in found], np.int64),
            boxes,
            boxes[:, 2] * boxes[:, 3],
            np.array([crowd for _, _, _, crowd in found], np.bool_),
        ),
        categories,
        np.arange(1, len(categories) + 1),
        mending.counts,
    )
    return annotations, digest.hexdigest()


def _categories(splits: Sequence[tuple[Path, Path]]) -> tuple[str, ...]:
    names: set[str] = set()
    for file in {
        _annotation(folder, name)
        for path, folder in dict.fromkeys(splits)
        if path.is_file()
        for name in _lines(path)
    }:
        # Not every test set has its annotations published.
        if file.is_file():
            names |= {_name(entry, file) for entry in _root(_bytes(file), file).findall("object")}
    if not names:
        raise DataError(f"no object is annotated in the files that {splits[0][0]} lists")
    return tuple(sorted(names))


def _names(path: Path, mending: Mending) -> list[str]:
    names: dict[str, None] = {}
    for name in _lines(path):
        if name in names:
            mending.mend(Rule.IMAGE_TWICE, f"image {short(name)} is listed twice")
        names[name] = None
    if not names:
        raise mending.refusal("no image is listed")
    return list(names)


def _lines(path: Path) -> list[str]:
    try:
        lines = _bytes(path).decode().splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is no list of names: it is not UTF-8") from None
    return [line.strip() for line in lines if line.strip()]


def _image_files(folder: Path) -> dict[str, str]:
    """Names without their ending -> names of the files.

    Raises:
        DataError: two differ in their ending alone.
    """
    found: dict[str, str] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in SUFFIXES:
            if file.stem in found:
                raise DataError(
                    f"{folder} has two images of one name, {found[file.stem]} and {file.name}: "
                    "which belongs to the annotation cannot be known"
                )
            found[file.stem] = file.name
    return found


def _annotation(folder: Path, name: str) -> Path:
    return folder.parent / ANNOTATIONS / f"{name}.xml"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path} is no file name: {error}") from None


def _root(content: bytes, file: Path) -> Element:
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f"{file} is not valid XML: {error}; is the file complete?") from None


def _name(entry: Element, file: Path) -> str:
    name = (entry.findtext("name") or "").strip()
    if not name or not name.isprintable():
        raise DataError(f"{file} has an object without a name that can be printed")
    return name


def _size(root: Element, file: Path) -> tuple[int, int]:
    texts = [root.findtext(f"size/{side}") for side in ("width", "height")]
    sides = [int(text) if text and text.strip().isdecimal() else 0 for text in texts]
    if min(sides) < 1 or sides[0] * sides[1] >= LARGEST:
        raise DataError(
            f"{file} has the size {short(texts)}, width and height in pixels are needed"
        )
    return sides[0], sides[1]


def _box(entry: Element, size: tuple[int, int], who: str, mending: Mending) -> list[float] | None:
    texts = [entry.findtext(f"bndbox/{corner}") for corner in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = (float(text or "") for text in texts)
    except ValueError:
        problem = f"{who} has the corners {short(texts)}, four numbers are needed"
        mending.mend(Rule.NO_BOX, problem)
        return None
    return checked([left - 1, top - 1, right - left + 1, bottom - top + 1], size, who, mending)


def _difficult(entry: Element, who: str, mending: Mending) -> bool:
    text = (entry.findtext("difficult") or "0").strip()
    if text not in ("0", "1"):
        mending.mend(Rule.CROWD, f"{who} is `difficult` {short(text)}, which must be 0 or 1")
    return text != "0"
