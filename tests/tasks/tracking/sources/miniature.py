"""Small sequences in the official layouts: frames of 32x24 pixels that tell their number."""

from __future__ import annotations

import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tasks.contract import Split
from tasks.tracking.recipe import TrackingData
from tasks.tracking.sequences import Source
from tasks.tracking.sources.opening import open_source

WIDTH, HEIGHT = 32, 24


@cache
def jpeg(number: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A grey image whose level is twice its number."""
    image = np.full((height, width, 3), 2 * number % 256, np.uint8)
    done, content = cv2.imencode(".jpg", image)
    assert done
    return content.tobytes()


def frames(folder: Path, numbers: range, pattern: str = "{:08d}.jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / pattern.format(number)).write_bytes(jpeg(number))


def box(number: int) -> list[float]:
    """Of frame `number`."""
    return [float(number % 8), 2.5, 10.0, 8.0]


def lines(boxes: list[list[float]], between: str = ",") -> str:
    return "".join(between.join(f"{value:g}" for value in one) + "\n" for one in boxes)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_got10k(root: Path, count: int = 3, length: int = 4, test_labels: bool = False) -> Path:
    """Train, val and test of `count` sequences; absent in frame 3, whose cover is 0."""
    for part in ("train", "val", "test"):
        names = [f"GOT-10k_{part.title()}_{k:06d}" for k in range(1, count + 1)]
        write(root / part / "list.txt", "\n".join(names) + "\n")
        for name in names:
            write_sequence(root / part / name, length)
            if part == "test" and not test_labels:
                write(root / part / name / "groundtruth.txt", lines([box(1)]))
                continue
            write(root / part / name / "absence.label", "0\n0\n1\n" + "0\n" * (length - 3))
            write(root / part / name / "cover.label", "8\n7\n0\n" + "4\n" * (length - 3))
            write(
                root / part / name / "meta_info.ini",
                "[METAINFO]\nurl: https://x\nobject_class: cat\nmotion_class: running\n"
                "major_class: feline\nroot_class: animal\nmotion_adverb: slowly\n",
            )
    return root


def write_sequence(folder: Path, length: int = 4, between: str = ",") -> Path:
    """Frames from 1 beside `groundtruth.txt`."""
    frames(folder, range(1, length + 1))
    truth = [box(number) for number in range(1, length + 1)]
    write(folder / "groundtruth.txt", lines(truth, between))
    return folder


def write_lasot(root: Path) -> Path:
    """Of airplane the four test sequences and two others; the target is out of view in frame 2
    and hidden in frame 3."""
    for number in (1, 2, 9, 10, 13, 15):
        folder = root / "airplane" / f"airplane-{number}"
        frames(folder / "img", range(1, 5))
        write(folder / "groundtruth.txt", lines([box(1), [0, 0, 0, 0], [0, 0, 0, 0], box(4)]))
        write(folder / "full_occlusion.txt", "0,0,1,0\n")
        write(folder / "out_of_view.txt", "0,1,0,0\n")
        write(folder / "nlp.txt", "a white airplane\n")
    write(root / "att" / "airplane-1.txt", "1,0,0,0,0,0,0,0,0,0,0,1,0,0\n")
    return root


def write_trackingnet(root: Path) -> Path:
    """Parts 0 and 1 with two sequences of 12 frames each, and one of test."""
    for part, names in {"TRAIN_0": "ab", "TRAIN_1": "cd", "TEST": "e"}.items():
        for name in names:
            frames(root / part / "frames" / name, range(12), "{}.jpg")
            truth = [box(number) for number in range(1 if part == "TEST" else 12)]
            write(root / part / "anno" / f"{name}.txt", lines(truth))
    return root


def write_otb(root: Path) -> Path:
    """Basketball; Jogging with two targets; David and Football1, which are used in part; Human4,
    whose first file of boxes is empty."""
    frames(root / "Basketball" / "img", range(1, 5), "{:04d}.jpg")
    truth = [box(number) for number in range(1, 5)]
    write(root / "Basketball" / "groundtruth_rect.txt", lines(truth, "\t"))
    frames(root / "Jogging" / "img", range(1, 5), "{:04d}.jpg")
    write(root / "Jogging" / "groundtruth_rect.1.txt", lines(truth))
    write(root / "Jogging" / "groundtruth_rect.2.txt", lines(truth[::-1], " "))
    frames(root / "David" / "img", range(290, 780), "{:04d}.jpg")
    write(root / "David" / "groundtruth_rect.txt", lines([box(k) for k in range(300, 771)]))
    frames(root / "Football1" / "img", range(1, 80), "{:04d}.jpg")
    write(root / "Football1" / "groundtruth_rect.txt", lines([box(k) for k in range(1, 75)]))
    frames(root / "Human4" / "img", range(1, 5), "{:04d}.jpg")
    write(root / "Human4" / "groundtruth_rect.1.txt", "\n")
    write(root / "Human4" / "groundtruth_rect.2.txt", lines(truth))
    return root


def write_uav123(root: Path) -> Path:
    """One video of 109 frames and one that two sequences are parts of."""
    frames(root / "data_seq" / "UAV123" / "uav6", range(1, 110), "{:06d}.jpg")
    truth = [box(number) for number in range(1, 110)]
    text = lines(truth).splitlines()
    text[5] = "NaN,NaN,NaN,NaN"
    write(root / "anno" / "UAV123" / "uav6.txt", "\n".join(text) + "\n")
    write(root / "anno" / "UAV123" / "att" / "uav6.txt", "1,0,1,1,1,1,0,0,0,0,1,1\n")
    frames(root / "data_seq" / "UAV123" / "truck4", range(1, 1262), "{:06d}.jpg")
    for number, (first, last) in enumerate(((1, 577), (577, 1261)), 1):
        truth = [box(k) for k in range(first, last + 1)]
        write(root / "anno" / "UAV123" / f"truck4_{number}.txt", lines(truth))
    return root


def write_vot(root: Path) -> Path:
    """`bag` with polygons, frames in `color`; `ball` with rectangles, frames beside its boxes."""
    write(root / "list.txt", "bag\nball\n")
    frames(root / "bag" / "color", range(1, 4))
    square = [4.0, 4.0, 4.0, 12.0, 14.0, 12.0, 14.0, 4.0]
    turned = [10.0, 2.0, 18.0, 10.0, 10.0, 18.0, 2.0, 10.0]
    write(root / "bag" / "groundtruth.txt", lines([square, turned, [float("nan")] * 8]))
    write(root / "bag" / "occlusion.tag", "0\n1\n")
    write(root / "bag" / "camera_motion.tag", "0\n0\n0\n")
    write_sequence(root / "ball", 3)
    return root


def write_coco(root: Path) -> Path:
    """Two images with three objects and a crowd."""
    names = ["a.jpg", "b.jpg"]
    for number, name in enumerate(names):
        path = root / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    images = [
        {"id": k, "file_name": name, "width": WIDTH, "height": HEIGHT}
        for k, name in enumerate(names, 1)
    ]
    boxes = [(1, [1, 2, 8, 9], 0), (1, [3, 4, 5, 6], 0), (2, [0, 0, 20, 20], 1), (2, box(1), 0)]
    objects = [
        {"id": k, "image_id": image, "category_id": 1, "bbox": bbox, "iscrowd": crowd}
        for k, (image, bbox, crowd) in enumerate(boxes, 100)
    ]
    content = {
        "images": images,
        "annotations": objects,
        "categories": [{"id": 1, "name": "thing"}],
    }
    write(root / "annotations" / "instances_train.json", json.dumps(content))
    return root


def pack(folder: Path, archive: Path, top: str = "", method: int = zipfile.ZIP_STORED) -> Path:
    """A folder's files as an archive, below `top`."""
    with zipfile.ZipFile(archive, "w", method) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, f"{top}{path.relative_to(folder).as_posix()}")
    return archive


def settings(name: str, root: Path | None = None, **others: Any) -> TrackingData:
    return TrackingData.model_validate({"name": name, "root": root, "partial": True} | others)


def opened(name: str, root: Path, split: Split = "test", **others: Any) -> Source:
    return open_source(settings(name, root, **others), split)
