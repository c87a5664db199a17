"""Objects of detection sets as static sequences of one frame: COCO JSON beside images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence as Listed
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from tasks.contract import DataError
from tasks.detection import coco_files
from tasks.detection.recipe import DetectionData
from tasks.json_files import read_json
from tasks.names import printable
from tasks.tracking.sequences import Sequence, Source
from tasks.tracking.sources.places import Folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tasks.detection.annotations import Annotations
    from tasks.tracking.sources.places import Place

EXPECTED = (
    "annotations/instances_train2017.json and train2017/, or annotations/instances_train.json and "
    "train/; the images' folder may be a zip archive of its name"
)
IMAGES = 118_287
"""Of the training images of 2017."""

_LAYOUTS = {
    "annotations/instances_train2017.json": "train2017",
    "annotations/instances_train.json": "train",
}
_CROWD, _MISSING = "crowd of objects", "object of an image without a file"


@dataclass(frozen=True)
class Statics(Listed[Sequence]):
    """Objects, each made a sequence when it is asked for: COCO has 850,000 of them.

    Attributes:
        place: folder of the images.
        files: of the images, below it.
        sizes: (N,2) width and height of the images.
        ids: (M,) of the objects.
        image: (M,) row of each object's image.
        boxes: (M,4).
    """

    place: Place
    files: tuple[str, ...]
    sizes: NDArray[np.int64]
    ids: NDArray[np.int64]
    image: NDArray[np.int64]
    boxes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Sequence: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sequence]: ...
    def __getitem__(self, index: int | slice) -> Sequence | list[Sequence]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row, name = self.image[index], str(self.ids[index])
        frames = self.place.images(name, [self.files[row]])
        width, height = self.sizes[row].tolist()
        frames.size = (width, height)
        return Sequence(name, frames, self.boxes[index][None])


def open_images(root: Path, partial: bool) -> Source:
    """The objects of the training images, crowds left out.

    Annotations are mended by the detection task's rules, which are counted.

    Raises:
        DataError: files are missing (with the expected layout), or not as many as were published.
    """
    names = [name for name in _LAYOUTS if (root / name).is_file()]
    folder = Folder(root).inside(_LAYOUTS[names[0]]) if names and root.is_dir() else None
    if not names or folder is None:
        raise DataError(f"COCO: expected below `{printable(str(root))}`: {EXPECTED}")
    path = root / names[0]
    settings = DetectionData.model_validate({"name": "folder", "masks": False, "repair": True})
    found = coco_files.parse(read_json(path), printable(str(path)), settings)
    if "2017" in names[0] and len(found.images) != IMAGES and not partial:
        raise DataError(
            f"COCO: expected {IMAGES} training images of 2017, `{printable(str(path))}` lists "
            f"{len(found.images)} (for others on purpose: --set data.partial=true)"
        )
    return _source(folder, found, path, partial)


def _source(folder: Place, found: Annotations, path: Path, partial: bool) -> Source:
    images, objects, there = found.images, found.objects, folder.files
    missing = np.array([file not in there for file in images.files], np.bool_)
    if missing.any() and not partial:
        first = images.files[int(missing.argmax())]
        raise DataError(
            f"COCO: {missing.sum()} of {len(images)} images are missing in `{folder.path}`, the "
            f"first is `{printable(first)}` (for fewer on purpose: --set data.partial=true)"
        )
    lost = missing[objects.image]
    kept = np.flatnonzero(~objects.crowd & ~lost)
    if not len(kept):
        raise DataError(f"`{printable(str(path))}` has no object with an image and a box")
    counts = {_CROWD: int(objects.crowd.sum()), _MISSING: int((lost & ~objects.crowd).sum())}
    statics = Statics(
        folder,
        images.files,
        images.sizes,
        objects.ids[kept],
        objects.image[kept],
        objects.boxes[kept],
    )
    return Source(
        "coco",
        statics,
        _digest(statics, there),
        "annotations CC BY 4.0; photographs under their Flickr terms",
        {reason: count for reason, count in counts.items() if count},
        tuple(f"{rule}: {count}" for rule, count in found.repaired.items()),
    )


def _digest(statics: Statics, there: dict[str, int]) -> str:
    whole = hashlib.sha256()
    for values in (statics.ids, statics.image, statics.boxes, statics.sizes):
        whole.update(values.astype("<f8").tobytes())
    for file in statics.files:
        whole.update(f"{printable(file)}\t{there.get(file)}\n".encode())
    return whole.hexdigest()
