"""Data sets of the world: prepared once, then read from memory-mapped files."""

import json
import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from tasks.contract import DataError
from tasks.microworld import coco, ranges, storage
from tasks.microworld.annotate import Annotation, SceneAnnotations
from tasks.microworld.describe import VIDEO_FRAMES, describe, labels_of
from tasks.microworld.prepare import Progress, fill
from tasks.microworld.ranges import KINDS, OBJECT_KINDS, SPLITS, Kind, Split
from tasks.microworld.scene import Scene

WORLD_VERSION = "1"


class Microworld:
    """The first `count` samples of one split and kind; a sample of kind "video" is a sequence.

    split: "pretraining" (images only: nothing there is labelled), "training", "selection", "test".
    size: (height, width) in pixels. root: the cache folder (default: `HARNESS_CACHE`, else the
    platform's). Construction touches no file; `prepare` renders what the cache lacks, and reading
    does so too. Objects may be pickled: a copy opens the files anew.
    Raises DataError for a split, kind, count or size that does not exist.
    """

    def __init__(
        self,
        split: Split,
        count: int,
        kind: Kind = "scene",
        size: tuple[int, int] = (128, 128),
        seed: int = 0,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        _require_name("split", split, SPLITS)
        _require_name("kind", kind, KINDS)
        if not 0 < count <= ranges.RANGE_SIZE:
            raise DataError(f"count must be between 1 and {ranges.RANGE_SIZE}, not {count}")
        if len(size) != 2 or not all(16 <= edge <= 1024 for edge in size):
            raise DataError(f"size must be (height, width) of 16 to 1024 pixels, not {size}")
        if not 0 <= seed < 1 << 32:
            raise DataError(f"seed must be between 0 and {(1 << 32) - 1}, not {seed}")
        if split == "pretraining" and kind.startswith("novel"):
            raise DataError("the pre-training range holds no novel class; take another kind")
        self.split, self.count, self.kind = split, count, kind
        self.size, self.seed = (int(size[0]), int(size[1])), seed
        self.root = Path(root) if root is not None else storage.default_root()

    def __len__(self) -> int:
        return self.count

    def __getstate__(self) -> dict[str, Any]:
        names = ("split", "count", "kind", "size", "seed", "root")
        return {name: getattr(self, name) for name in names}

    @property
    def labelled(self) -> bool:
        """Whether there is more than images."""
        return self.split != "pretraining"

    @property
    def frames_per_sample(self) -> int:
        return VIDEO_FRAMES if self.kind == "video" else 1

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of an object view, by label; empty for other kinds."""
        return labels_of(self.kind) if self.kind in OBJECT_KINDS else ()

    @property
    def description(self) -> dict[str, Any]:
        """Everything that determines the bytes, beside the libraries."""
        return {
            "world_version": WORLD_VERSION,
            "kind": self.kind,
            "split": self.split,
            "seed": self.seed,
            "first_index": ranges.first_index(self.split),
            "count": self.count,
            "frames_per_sample": self.frames_per_sample,
            "size": list(self.size),
            "labelled": self.labelled,
            "classes": list(self.class_names),
            "depth_unit": "0.001 m",
        }

    @property
    def folder(self) -> Path:
        """Where the data set lies once it is prepared."""
        height, width = self.size
        name = f"{self.kind}-{self.split}-{self.count}-{height}x{width}-seed{self.seed}"
        return self.root / "microworld" / f"v{WORLD_VERSION}" / name

    def prepare(self, progress: Progress | None = None, workers: int | None = None) -> None:
        """Render the data set into the cache unless it is there; safe beside other processes.

        progress: called with samples done and samples in all. workers: processes, 0 for none
        beside this one; default: one a core, for large sets. The bytes do not depend on it. What an
        interruption leaves is never taken for a data set. Raises DataError for files that cannot
        be written or are damaged.
        """
        if (self.folder / storage.MANIFEST).exists():
            storage.verify(self.folder)
            return
        partial = self.folder.with_name(self.folder.name + ".partial")
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder.with_name(self.folder.name + ".lock")):
                if (self.folder / storage.MANIFEST).exists():
                    return
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                names = fill(partial, self, progress, workers)
                storage.publish(partial, self.folder, self.description, names)
        except OSError as error:
            raise DataError(
                f"cannot write the microworld cache: {error}; set HARNESS_CACHE to a folder "
                "that can be written and has room"
            ) from error

    def describe(self, index: int, frame: int = 0) -> Scene:
        """Return the description of a sample."""
        first = ranges.first_index(self.split)
        return describe(self.seed, first + self._checked(index), self.kind, frame)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest; its "sha256" is over all bytes and what they were made from."""
        if not (self.folder / storage.MANIFEST).exists():
            self.prepare()
        manifest = storage.verify(self.folder)
        if any(manifest.get(key) != value for key, value in self.description.items()):
            raise DataError(f"{self.folder} holds another data set than its name says; delete it")
        return manifest

    def image(self, index: int, frame: int = 0) -> NDArray[np.uint8]:
        """Return an RGB image, uint8 (H, W, 3)."""
        return np.array(self._images[self._row(index, frame)])

    def depth(self, index: int, frame: int = 0) -> NDArray[np.float32]:
        """Return metres along the optical axis, float32 (H, W), in whole millimetres."""
        stored = self._labels("depth")[self._row(index, frame)]
        return np.asarray(stored.astype(np.float32) / np.float32(1000.0))

    def instances(self, index: int, frame: int = 0) -> NDArray[np.uint8]:
        """Return the instance map, uint8 (H, W), 0 for the room."""
        return np.array(self._labels("instances")[self._row(index, frame)])

    def annotations(self, index: int, frame: int = 0) -> SceneAnnotations:
        """Return boxes, keypoints, label and target of an image."""
        self._labels("depth")
        offsets = self._offsets
        row = self._row(index, frame)
        return _parse(self._text[offsets[row] : offsets[row + 1]])

    def labels(self) -> NDArray[np.int64]:
        """Return the labels of all object views, int64 (count,)."""
        found = [self.annotations(i).label for i in range(self.count)]
        if any(label is None for label in found):
            raise DataError(f"images of kind {self.kind!r} have no class label")
        return np.array(found, dtype=np.int64)

    def to_coco_keypoints(self) -> dict[str, Any]:
        """Return the persons in COCO's keypoint layout; image ids are indices."""
        return coco.keypoints(self)

    def to_coco_instances(self) -> dict[str, Any]:
        """Return persons and covered objects in COCO's instance layout, with masks."""
        return coco.instances(self)

    def _checked(self, index: int) -> int:
        if not 0 <= index < self.count:
            raise IndexError(f"sample {index} of {self.count}")
        return index

    def _row(self, index: int, frame: int) -> int:
        if not 0 <= frame < self.frames_per_sample:
            raise IndexError(f"frame {frame} of {self.frames_per_sample}")
        return self._checked(index) * self.frames_per_sample + frame

    @cached_property
    def _images(self) -> NDArray[Any]:
        return self._open("images")

    @cached_property
    def _maps(self) -> dict[str, NDArray[Any]]:
        return {name: self._open(name) for name in ("depth", "instances")}

    def _labels(self, name: str) -> NDArray[Any]:
        if not self.labelled:
            raise DataError("the pre-training range holds images only")
        return self._maps[name]

    def _open(self, name: str) -> NDArray[Any]:
        _ = self.manifest
        array: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return array

    @cached_property
    def _text(self) -> bytes:
        _ = self.manifest
        return (self.folder / "annotations.jsonl").read_bytes()

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        ends = np.flatnonzero(np.frombuffer(self._text, dtype=np.uint8) == ord("\n")) + 1
        return np.concatenate([np.zeros(1, dtype=np.int64), ends])


def _parse(line: bytes) -> SceneAnnotations:
    values = json.loads(line)
    items = []
    for item in values["items"]:
        x, y, w, h = item["box"]
        fx, fy, fw, fh = item["full_box"]
        keypoints = tuple((k[0], k[1], k[2]) for k in item["keypoints"])
        rest = {k: item[k] for k in ("instance", "category", "mark", "area", "visible")}
        items.append(
            Annotation(**rest, box=(x, y, w, h), full_box=(fx, fy, fw, fh), keypoints=keypoints)
        )
    return SceneAnnotations(tuple(items), values["label"], values["target"])


def _require_name(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise DataError(f"unknown {what} {name!r}; there is: {', '.join(known)}")
