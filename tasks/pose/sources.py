"""Where annotated images come from: the embedded world, or files in COCO's keypoint layout."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks import images
from tasks.contract import DataError, Split
from tasks.json_files import read_json
from tasks.layouts import Annotated, Layout, digest
from tasks.microworld import Microworld
from tasks.pose.annotations import Annotations, Images, parse
from tasks.pose.recipe import PoseData
from tasks.subsets import held_out

LICENCES = {
    "microworld": "generated; no terms",
    "coco": "annotations CC BY 4.0; photographs under their Flickr terms",
    "crowdpose": "not stated by its authors; research use",
    "folder": "not stated in the file; the owner knows",
}


class Source(Annotated):
    """One split of a data set: its annotations, and images by their row in them."""

    annotations: Annotations

    def readable(self, row: int) -> bool:
        """Whether the image can be read whole."""
        try:
            self.image(row)
        except DataError:
            return False
        return True


@dataclass(frozen=True)
class World(Source):
    """The persons of microworld's scenes."""

    world: Microworld
    annotations: Annotations

    def image(self, row: int) -> NDArray[np.uint8]:
        return self.world.image(row)

    def digest(self, rows: NDArray[np.int64]) -> str:
        return str(self.world.manifest["sha256"])


@dataclass(frozen=True)
class Folder(Source):
    """An annotation file beside a folder of images."""

    folder: Path
    file_sha256: str
    annotations: Annotations

    def path(self, row: int) -> Path:
        return self.folder / self.annotations.images.files[row]

    def image(self, row: int) -> NDArray[np.uint8]:
        width, height = self.annotations.images.sizes[row]
        return images.of_size(self.path(row), (int(width), int(height)))

    def digest(self, rows: NDArray[np.int64]) -> str:
        hint = (
            "; people without their image are left out and counted with --set "
            "data.skip_unreadable=true"
        )
        files = (self.annotations.images.files[row] for row in rows.tolist())
        return digest(self.file_sha256, self.folder, files, hint)


def world(data: PoseData, split: Split) -> Microworld:
    return Microworld(split, getattr(data.count, split), "scene", data.size, data.seed)


def open_source(data: PoseData, split: Split) -> Source:
    """Open a split.

    Raises:
        DataError: files that are missing (with the expected layout) or malformed.
    """
    if data.name == "microworld":
        scenes = world(data, split)
        content = scenes.to_coco_keypoints()
        return World(scenes, parse(content, "microworld", data.area))
    path, folder = layout(data).existing(data.root, split)
    annotations = parse(read_json(path), str(path), data.area)
    if data.name == "crowdpose" and np.isnan(annotations.images.crowd_index).any():
        raise DataError(f"{path} has images without `crowdIndex`, which CrowdPose's figures need")
    if data.held_out is not None and split != "test":
        annotations = _hold_out(annotations, data.held_out, data.held_out_seed, split)
    return Folder(folder, hashlib.sha256(path.read_bytes()).hexdigest(), annotations)


def layout(data: PoseData) -> Layout:
    """The files that are expected below the root."""
    assert data.annotations is not None and data.images is not None
    return Layout(data.name, data.annotations.model_dump(), data.images.model_dump())


def _hold_out(found: Annotations, share: float, seed: int, split: Split) -> Annotations:
    """Keep the people of the held-out images, a share of those with people, or of the others."""
    people, pictures = found.people, found.images
    rows = np.unique(people.image)
    held = set(rows[held_out(pictures.ids[rows], share, seed)].tolist())
    kept = [row for row in range(len(pictures.ids)) if (row in held) == (split == "selection")]
    renumber = {row: new for new, row in enumerate(kept)}
    chosen = people.take(np.isin(people.image, kept))
    return replace(
        found,
        images=Images(
            pictures.ids[kept],
            tuple(pictures.files[row] for row in kept),
            pictures.sizes[kept],
            pictures.crowd_index[kept],
        ),
        people=replace(
            chosen, image=np.array([renumber[r] for r in chosen.image.tolist()], np.int64)
        ),
    )
