"""Where annotated images come from: the embedded world, COCO files, Pascal VOC folders."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tasks import images
from tasks.contract import SPLITS, DataError, RecipeError, Split
from tasks.detection import coco_files, voc_files
from tasks.detection.mending import Mending, Rule
from tasks.detection.recipe import SplitPaths
from tasks.json_files import read_json
from tasks.layouts import Annotated, Layout, digest
from tasks.microworld import Microworld
from tasks.names import printable
from tasks.subsets import held_out

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tasks.detection.annotations import Annotations, Ints
    from tasks.detection.recipe import DetectionData

LICENCES = {
    "microworld": "generated; no terms",
    "coco": "annotations CC BY 4.0; photographs under their Flickr terms",
    "folder": "not stated in the file; the owner knows",
    "voc": "photographs under their Flickr terms",
}

_TRAIN, _VAL = "annotations/instances_train2017.json", "annotations/instances_val2017.json"
ANNOTATIONS = {
    "coco": SplitPaths(training=_TRAIN, selection=_TRAIN, test=_VAL),
    "folder": SplitPaths(
        training="annotations/instances_train.json",
        selection="annotations/instances_val.json",
        test="annotations/instances_test.json",
    ),
    "voc": SplitPaths(
        training="ImageSets/Main/train.txt",
        selection="ImageSets/Main/val.txt",
        test="ImageSets/Main/test.txt",
    ),
}
"""Of each layout the file of each split, unless the recipe names others."""

IMAGES = {
    "coco": SplitPaths(training="train2017", selection="train2017", test="val2017"),
    "folder": SplitPaths(training="train", selection="val", test="test"),
    "voc": SplitPaths(training="JPEGImages", selection="JPEGImages", test="JPEGImages"),
}
"""Likewise the folders of images."""


class Source(Annotated):
    """One split of a data set: its annotations, and images by their row in them.

    Attributes:
        name: what to call the annotations in messages.
    """

    name: str
    annotations: Annotations


@dataclass(frozen=True)
class World(Source):
    """The persons and objects of microworld's scenes."""

    name: str
    world: Microworld
    annotations: Annotations

    def image(self, row: int) -> NDArray[np.uint8]:
        return self.world.image(row)

    def digest(self, rows: Ints) -> str:
        return str(self.world.manifest["sha256"])


@dataclass(frozen=True)
class Folder(Source):
    """Annotation files beside a folder of images; `sha256` is of the files."""

    name: str
    folder: Path
    sha256: str
    annotations: Annotations

    def image(self, row: int) -> NDArray[np.uint8]:
        listed = self.annotations.images
        width, height = listed.sizes[row].tolist()
        return images.of_size(self.folder / listed.files[row], (width, height))

    def digest(self, rows: Ints) -> str:
        files = (self.annotations.images.files[row] for row in rows.tolist())
        return digest(self.sha256, self.folder, files)


def world(data: DetectionData, split: Split) -> Microworld:
    return Microworld(split, getattr(data.count, split), "scene", data.size, data.seed)


def open_source(data: DetectionData, split: Split) -> Source:
    """Open a split.

    Raises:
        DataError: files that are missing (with the expected layout) or malformed.
        RecipeError: a selection split that is neither a file nor a share of the training images.
    """
    if data.name == "microworld":
        scenes = world(data, split)
        content = scenes.to_coco_instances()
        return World(data.name, scenes, coco_files.parse(content, data.name, data))
    expected = layout(data)
    files = expected.annotations
    if (files["training"] == files["selection"]) != (data.held_out is not None):
        raise RecipeError(
            "`data.held_out` is for a selection split taken from the training images, as coco's: "
            "give it exactly where `annotations.selection` is `annotations.training`, such as "
            "--set data.held_out=0.02"
        )
    path, folder = expected.existing(data.root, split)
    assert data.root is not None
    if data.name == "voc":
        splits = [expected.paths(data.root, other) for other in SPLITS]
        annotations, sha256 = voc_files.read(path, folder, splits, data)
    else:
        annotations = coco_files.parse(read_json(path), str(path), data)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    # COCO's own files agree, and are long to read.
    if data.name != "voc" and files != ANNOTATIONS["coco"].model_dump():
        _compare(annotations, path, expected.paths(data.root, "training")[0], data)
    annotations = _with_files(annotations, folder, Mending(str(path), data.repair))
    if data.held_out is not None and split != "test":
        held = held_out(annotations.images.ids, data.held_out, data.held_out_seed)
        annotations = annotations.of_images(np.flatnonzero(held == (split == "selection")))
    return Folder(str(path), folder, sha256, annotations)


def layout(data: DetectionData) -> Layout:
    """The files that are expected below the root."""
    files = data.annotations or ANNOTATIONS[data.name]
    folders = data.images or IMAGES[data.name]
    others = (f"{voc_files.ANNOTATIONS}/",) if data.name == "voc" else ()
    return Layout(data.name, files.model_dump(), folders.model_dump(), others)


def _compare(found: Annotations, path: Path, training: Path, data: DetectionData) -> None:
    """Check that a file of a split has the classes of the training file, in the same order, and
    masks where that one has them."""
    if path == training or not training.is_file():
        return
    content, mending = read_json(training), Mending(str(training), data.repair)
    names, _ = coco_files.categories(content, mending)
    if names != found.categories:
        raise DataError(
            f"{path} has the categories {', '.join(found.categories)}, {training} has "
            f"{', '.join(names)}: list the same ones, with the same ids, in both"
        )
    boxes_only = len(found.objects) > 0 and len(found.objects.masks) == 0
    entries = coco_files.section(content, "annotations", mending)
    if data.masks and boxes_only and coco_files.has_masks(entries):
        raise DataError(
            f"{path} has no masks, {training} has: give them in both, or take --set "
            "data.masks=false for boxes only"
        )


def _with_files(found: Annotations, folder: Path, mending: Mending) -> Annotations:
    """Those whose image is there.

    Raises:
        DataError: one is not, and nothing may be mended.
    """
    kept = []
    for row, file in enumerate(found.images.files):
        if (folder / file).is_file():
            kept.append(row)
        else:
            number = found.images.ids[row]
            mending.mend(
                Rule.NO_FILE, f"image {number} is missing, {printable(str(folder / file))}"
            )
    if len(kept) == len(found.images):
        return found
    return replace(
        found.of_images(np.array(kept, np.int64)), repaired=found.repaired | mending.counts
    )
