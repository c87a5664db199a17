"""COCO instance files as arrays.

`iscrowd` left out is 0; `area` left out is that of the mask, or of the box where there are no
masks, and counted. An annotation's id is a name and may be 0, which pycocotools' evaluator takes
for none and never matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.detection.annotations import Annotations, Images, Ints, Objects
from tasks.detection.boxes import checked
from tasks.detection.masks import LARGEST, Builder, Masks
from tasks.detection.mending import Mending, Rule
from tasks.json_files import finite, whole

if TYPE_CHECKING:
    from tasks.detection.recipe import DetectionData


def parse(content: Any, name: str, data: DetectionData) -> Annotations:
    """Check the content of a COCO instance file and turn it into arrays.

    Categories are in the order of their ids, images and objects in that of the file.

    Args:
        content: the parsed JSON.
        name: what to call it in messages.
        data: `masks` and `repair`.

    Raises:
        DataError: naming the first image, annotation or category that is wrong.
    """
    mending = Mending(name, data.repair)
    names, category_ids = categories(content, mending)
    images = _images(section(content, "images", mending), mending)
    entries = section(content, "annotations", mending)
    reader = _Reader(images, category_ids, data.masks and has_masks(entries), mending)
    for entry in entries:
        reader.read(entry)
    return Annotations(images, reader.objects(), names, category_ids, mending.counts)


def has_masks(entries: list[Any]) -> bool:
    """Whether any annotation of a file has a mask: then all need one."""
    return any(entry.get("segmentation") for entry in entries)


def categories(content: Any, mending: Mending) -> tuple[tuple[str, ...], Ints]:
    """Names and ids of a file's categories, in the order of their ids.

    Raises:
        DataError: naming the first one that is wrong.
    """
    names: dict[int, str] = {}
    for entry in section(content, "categories", mending):
        number, name = entry["id"], entry.get("name")
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise mending.refusal(f"category {number} has no `name` that can be printed")
        if number in names:
            if names[number] != name:
                raise mending.refusal(
                    f"two categories have the id {number}: {short(names[number])} and {short(name)}"
                )
            mending.mend(Rule.CATEGORY_TWICE, f"category {number} is listed twice")
        names[number] = name
    if not names:
        raise mending.refusal("no category is listed")
    ids = sorted(names)
    for number in ids:
        name = names[number]
        alike = [other for other in ids if names[other] == name]
        if len(alike) > 1:
            mending.mend(Rule.SAME_NAME, f"the categories {alike} have one name, {short(name)}")
            names |= {other: f"{name} ({other})" for other in alike}
    return tuple(names[number] for number in ids), np.array(ids, np.int64)


def section(content: Any, name: str, mending: Mending) -> list[Any]:
    """A list of the file, every entry of which has an id.

    Raises:
        DataError: naming what is missing.
    """
    entries = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        raise mending.refusal(f"no COCO file, the list `{name}` is missing")
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or not whole(entry.get("id")):
            raise mending.refusal(f"entry {number} of `{name}` has no whole number as `id`")
    return entries


def _images(entries: list[Any], mending: Mending) -> Images:
    found: dict[int, tuple[str, int, int]] = {}
    for entry in entries:
        image = _image(entry, mending)
        number = entry["id"]
        if number in found:
            if found[number] != image:
                raise mending.refusal(f"two images have the id {number}")
            mending.mend(Rule.IMAGE_TWICE, f"image {number} is listed twice")
        found[number] = image
    return Images(
        np.array(list(found), np.int64),
        tuple(file for file, _, _ in found.values()),
        np.array([size for _, *size in found.values()], np.int64).reshape(-1, 2),
    )


def _image(entry: Any, mending: Mending) -> tuple[str, int, int]:
    file, sides = entry.get("file_name"), [entry.get(side) for side in ("width", "height")]
    if not isinstance(file, str) or not file or "\0" in file:
        raise mending.refusal(f"image {entry['id']} has no valid `file_name`")
    if not finite(sides) or any(side < 1 or side != int(side) for side in sides):
        raise mending.refusal(
            f"image {entry['id']} has the width and height {short(sides)}, whole numbers of pixels "
            "are needed"
        )
    width, height = int(sides[0]), int(sides[1])
    if width * height >= LARGEST:
        raise mending.refusal(
            f"image {entry['id']} has {width}x{height} pixels, fewer than {LARGEST} are possible"
        )
    return file, width, height


class _Reader:
    """Reads annotations one by one into columns."""

    def __init__(
        self, images: Images, category_ids: Ints, with_masks: bool, mending: Mending
    ) -> None:
        self._mending = mending
        self._images = {id: row for row, id in enumerate(images.ids.tolist())}
        self._sizes: list[list[int]] = images.sizes.tolist()
        self._categories = {id: row for row, id in enumerate(category_ids.tolist())}
        self._masks = Builder() if with_masks else None
        self._ids: dict[int, None] = {}
        self._doubled: list[int] = []
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("image", "category", "boxes", "areas", "crowd")
        }

    def read(self, entry: Mapping[str, Any]) -> None:
        """Add an annotation, unless a rule leaves it out."""
        who = f"annotation {entry['id']}"
        image, category = entry.get("image_id"), entry.get("category_id")
        if not whole(image) or image not in self._images:
            problem = f"{who} is of image {short(image)}, which is not listed"
            return self._mending.mend(Rule.NO_IMAGE, problem)
        if not whole(category) or category not in self._categories:
            problem = f"{who} is of category {short(category)}, which does not exist"
            return self._mending.mend(Rule.NO_CATEGORY, problem)
        row = self._images[image]
        width, height = self._sizes[row]
        box = checked(entry.get("bbox"), (width, height), who, self._mending)
        if box is None:
            return None
        crowd = self._crowd(entry.get("iscrowd", 0), who)
        if self._masks is not None:
            self._mask(self._masks, entry.get("segmentation"), box, (height, width), who)
        self._number(entry["id"])
        values = (row, self._categories[category], box, self._area(entry, box, who), crowd)
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)
        return None

    def objects(self) -> Objects:
        """All that were read."""
        masks: Masks | tuple[()] = () if self._masks is None else self._masks.finish()
        columns = self._columns
        areas, boxes = columns["areas"], np.array(columns["boxes"], np.float64).reshape(-1, 4)
        for k, area in enumerate(areas):
            if area is None:
                areas[k] = _covered(masks[k]) if masks else boxes[k, 2] * boxes[k, 3]
        return Objects(
            self._all_ids(),
            np.array(columns["image"], np.int64),
            np.array(columns["category"], np.int64),
            boxes,
            np.array(areas, np.float64),
            np.array(columns["crowd"], np.bool_),
            masks,
        )

    def _number(self, number: int) -> None:
        """Note the id; one that is used already is replaced at the end, when all are known."""
        if number in self._ids:
            self._mending.mend(Rule.NUMBERED, f"two annotations have the id {number}")
            self._doubled.append(len(self._columns["image"]))
        else:
            self._ids[number] = None

    def _all_ids(self) -> Ints:
        ids = list(self._ids)
        for new, row in enumerate(self._doubled, start=max(ids, default=0) + 1):
            ids.insert(row, new)
        return np.array(ids, np.int64)

    def _crowd(self, value: Any, who: str) -> bool:
        if value in (0, 1):
            return bool(value)
        self._mending.mend(Rule.CROWD, f"{who} has `iscrowd` {short(value)}, which must be 0 or 1")
        return True

    def _mask(
        self, masks: Builder, value: Any, box: list[float], size: tuple[int, int], who: str
    ) -> None:
        try:
            if isinstance(value, Mapping):
                masks.run_lengths(value, size)
            elif isinstance(value, list) and value:
                masks.polygons(value, size)
            else:
                raise ValueError("has no mask, others have (--set data.masks=false for boxes only)")
        except ValueError as error:
            self._mending.mend(Rule.MASK, f"{who} {error}")
            masks.box(box, size)

    def _area(self, entry: Mapping[str, Any], box: list[float], who: str) -> float | None:
        """The annotated area, or None where it has to be computed."""
        area = entry.get("area")
        if area is None:
            self._mending.note(Rule.AREA_MISSING)
        elif not finite([area]) or area < 0:
            self._mending.mend(Rule.AREA, f"{who} has the area {short(area)}")
        elif box == entry["bbox"]:
            return float(area)
        else:
            # Of a box that was clipped.
            return min(float(area), box[2] * box[3])
        return None


def _covered(rle: Any) -> float:
    from pycocotools import mask

    return float(mask.area(rle))
