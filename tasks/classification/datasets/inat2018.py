"""iNaturalist 2018: COCO-like JSON; its validation images are the test here."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.imagenet import AS_TEST
from tasks.classification.datasets.layout import need, part
from tasks.contract import DataError


def read(root: Path) -> Official:
    """Read the data set below `root`, images in the order of the JSON files.

    Raises:
        DataError: the layout is not whole, or an image has not just one known class.
    """
    path = root / "train2018.json"
    content = _load(path)
    names = _names(content, path)
    return Official(
        train=_part(root, content, path, len(names)),
        val=None,
        test=_part(root, _load(root / "val2018.json"), root / "val2018.json", len(names)),
        class_names=names,
        notes=(AS_TEST,),
    )


def _load(path: Path) -> Any:
    content = need(path).read_bytes()
    try:
        return json.loads(content)
    except ValueError as error:
        raise DataError(f"`{path}` is no JSON: {error}") from None


def _names(content: Any, path: Path) -> tuple[str, ...]:
    try:
        found = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"`{path}` has no list of categories with id and name ({error})") from None
    if sorted(found) != list(range(len(found))):
        raise DataError(f"`{path}`: expected category ids from 0 without gaps")
    # Species of different kingdoms may have the same name.
    count = Counter(found.values())
    names = (found[label] for label in range(len(found)))
    return tuple(
        name if count[name] == 1 else f"{name} ({label})" for label, name in enumerate(names)
    )


def _part(root: Path, content: Any, path: Path, classes: int) -> Part:
    try:
        files = {int(entry["id"]): str(entry["file_name"]) for entry in content["images"]}
        pairs = [
            (int(entry["image_id"]), int(entry["category_id"])) for entry in content["annotations"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"`{path}` has no images and annotations as expected ({error})") from None
    labels = dict(pairs)
    if len(pairs) != len(files) or labels.keys() != files.keys():
        raise DataError(f"`{path}`: expected one annotation for each image")
    for image, label in labels.items():
        if not 0 <= label < classes:
            raise DataError(
                f"`{path}`: image {image} has the category {label}; expected 0 to {classes - 1}"
            )
    return part(root, list(files.values()), [labels[image] for image in files], path)
