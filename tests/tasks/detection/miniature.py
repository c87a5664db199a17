"""Small data sets in the official layouts, and recipes for them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle

from tasks.detection.masks import decode
from tasks.detection.recipe import DetectionRecipe

IDS = (2, 7, 90)
"""Category ids with gaps; the file lists the last one first."""
NAMES = ("bear", "cat", "apple")


def recipe(canvas: tuple[int, int] = (64, 64), /, **data: Any) -> DetectionRecipe:
    return DetectionRecipe.model_validate(
        {
            "scale": "smoke",
            "backbone": {"input_size": canvas},
            "data": data,
            "optimizer": {"lr": 1e-3},
            "schedule": {},
            "train": {"batch_size": 2, "steps": 1},
        }
    )


def content(images: int, seed: int = 0) -> dict[str, Any]:
    """A COCO instance file: of each image a polygon, two polygons, run lengths both ways and a
    crowd; the last image is without objects."""
    rng = np.random.default_rng(seed)
    listed = [
        {"id": 10 * k + 3, "file_name": f"{k:012d}.png", "width": 60 + k, "height": 50 - k}
        for k in range(images)
    ]
    annotations: list[dict[str, Any]] = []
    for image in listed[:-1]:
        for form in (_polygons(1), _polygons(2), _compressed, _uncompressed, _uncompressed):
            x, y = rng.uniform(0, 20, 2).round(2).tolist()
            w, h = rng.uniform(10, 20, 2).round(2).tolist()
            crowd = len(annotations) % 5 == 4
            annotations.append(
                {
                    "id": len(annotations) + 100,
                    "image_id": image["id"],
                    "category_id": IDS[len(annotations) % 3],
                    "bbox": [x, y, w, h],
                    "area": round(0.7 * w * h, 3),
                    "iscrowd": int(crowd),
                    "segmentation": form(x, y, w, h, image["height"], image["width"]),
                }
            )
    categories = [{"id": id, "name": name} for id, name in zip(IDS, NAMES, strict=True)]
    return {"images": listed, "annotations": annotations, "categories": categories[::-1]}


def coco(root: Path, images: int = 6) -> Path:
    """COCO 2017's layout."""
    for seed, split in enumerate(("train2017", "val2017")):
        write(root, f"annotations/instances_{split}.json", split, content(images, seed))
    return root


def folder(root: Path, images: int = 4) -> Path:
    """The layout of `folder`."""
    for seed, split in enumerate(("train", "val", "test")):
        write(root, f"annotations/instances_{split}.json", split, content(images, seed))
    return root


def write(root: Path, file: str, images: str, values: dict[str, Any]) -> None:
    """An annotation file and its images, in noise of its own each."""
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(values))
    (root / images).mkdir(parents=True, exist_ok=True)
    for entry in values["images"]:
        draw(root / images / entry["file_name"], entry["width"], entry["height"], entry["id"])


def draw(path: Path, width: int, height: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), noise)


def voc(root: Path, images: int = 4) -> Path:
    """Pascal VOC's layout: of each image a dog, and a difficult cat that lies in the corner."""
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / part).mkdir(parents=True, exist_ok=True)
    for seed, split in enumerate(("train", "val", "test")):
        names = [f"{split}_{k:06d}" for k in range(images)]
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names) + "\n")
        for k, name in enumerate(names):
            draw(root / f"JPEGImages/{name}.jpg", 60, 50, 100 * seed + k)
            other = ("cat", (1, 1, 60, 50), 1)
            annotate(root, name, [("dog", (11 + k, 6, 30, 45), 0), other])
    return root


def annotate(
    root: Path, name: str, objects: Sequence[tuple[str, Sequence[Any], Any]], size: Any = (60, 50)
) -> None:
    """An XML file as VOC has it."""
    entries = "".join(
        f"<object><name>{title}</name><difficult>{difficult}</difficult><bndbox>"
        f"<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax>"
        "</bndbox></object>"
        for title, box, difficult in objects
    )
    (root / f"Annotations/{name}.xml").write_text(
        f"<annotation><filename>{name}.jpg</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size>{entries}</annotation>"
    )


def _ring(x: float, y: float, w: float, h: float) -> list[float]:
    return [x, y + h / 2, x + w / 3, y, x + w, y + h / 4, x + 0.8 * w, y + h]


def _polygons(count: int) -> Any:
    def form(x: float, y: float, w: float, h: float, height: int, width: int) -> list[list[float]]:
        return [_ring(x + k * w / count, y, w / count, h) for k in range(count)]

    return form


def _pixels(x: float, y: float, w: float, h: float, height: int, width: int) -> Any:
    packed = rle.merge(rle.frPyObjects([_ring(x, y, w, h)], height, width))
    return decode(packed)


def _compressed(*values: Any) -> dict[str, Any]:
    packed = rle.encode(np.asfortranarray(_pixels(*values)))
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def _uncompressed(*values: Any) -> dict[str, Any]:
    pixels = _pixels(*values)
    flat = np.concatenate([[0], pixels.flatten(order="F"), [2]])
    ends = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], ends])).tolist()
    return {"size": list(pixels.shape), "counts": counts}
