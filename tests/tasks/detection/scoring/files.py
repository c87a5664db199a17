"""COCO files as arrays, random ones, and what pycocotools says of them."""

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.detection.annotations import Annotations, Detections, Images, Objects, Rle

File = dict[str, Any]
NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def annotations(content: File) -> Annotations:
    """As pycocotools reads them; images stay in the order of the file."""
    images, objects = content["images"], content["annotations"]
    category_ids = sorted(c["id"] for c in content["categories"])
    row = {image["id"]: number for number, image in enumerate(images)}
    sizes = [(i.get("width", 0), i.get("height", 0)) for i in images]
    return Annotations(
        Images(
            np.array([i["id"] for i in images], dtype=np.int64),
            tuple(str(i["id"]) for i in images),
            np.array(sizes).reshape(-1, 2),
        ),
        Objects(
            np.array([o["id"] for o in objects], dtype=np.int64),
            np.array([row[o["image_id"]] for o in objects], dtype=np.int64),
            np.array([category_ids.index(o["category_id"]) for o in objects], dtype=np.int64),
            np.array([o["bbox"] for o in objects], dtype=float).reshape(-1, 4),
            np.array([o["area"] for o in objects], dtype=float),
            np.array([bool(o["iscrowd"]) for o in objects], dtype=bool),
            masks(content) if any("segmentation" in o for o in objects) else (),
        ),
        tuple(str(id) for id in category_ids),
        np.array(category_ids),
        {},
    )


def masks(content: File) -> tuple[Rle, ...]:
    index = coco(content)
    return tuple(index.annToRLE(o) for o in content["annotations"])


def detections(found: Sequence[File], truth: Annotations) -> Detections:
    row = {id: number for number, id in enumerate(truth.images.ids.tolist())}
    category = {id: number for number, id in enumerate(truth.category_ids.tolist())}
    with_masks = bool(found) and "segmentation" in found[0]
    boxes = [d.get("bbox", (0, 0, 0, 0)) for d in found]
    return Detections(
        np.array([row[d["image_id"]] for d in found], dtype=np.int64),
        np.array([category[d["category_id"]] for d in found], dtype=np.int64),
        np.array(boxes, dtype=float).reshape(-1, 4),
        np.array([d["score"] for d in found], dtype=float),
        tuple(d["segmentation"] for d in found) if with_masks else (),
    )


def coco(content: File) -> Any:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        index = COCO()
        index.dataset = copy.deepcopy(content)
        index.createIndex()
    return index


def reference(content: File, found: Sequence[File], kind: str, **params: Any) -> Any:
    """COCOeval after its three steps."""
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        index = coco(content)
        results = index.loadRes(copy.deepcopy(list(found)))
        evaluator = COCOeval(index, results, "bbox" if kind == "box" else "segm")
        for name, value in params.items():
            setattr(evaluator.params, name, value)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def crowded(seed: int, classes: int = 4, images: int = 40) -> tuple[File, list[File]]:
    """Random objects in close company on whole pixels, so that overlaps are equal and lie on
    thresholds: crowds, areas on the borders of the ranges, empty images, a class without objects,
    one without detections, images with more than 100 detections of a class, equal scores."""
    rng = np.random.default_rng(seed)
    objects: list[File] = []
    found: list[File] = []
    category = [3 * k + 2 for k in range(classes + 2)]
    ids = (rng.permutation(images) + 5).tolist()
    for id in ids[:-4]:
        for _ in range(rng.integers(0, 8)):
            kind = int(rng.choice(category[:classes]))
            side = rng.choice([8, 20, 32, 40, 96, 120], 2)
            box = np.concatenate((rng.integers(0, 40, 2), side)).astype(float)
            area = float(rng.choice([side.prod(), 0.5 * side.prod(), 32**2, 96**2]))
            crowd = int(rng.random() < 0.12)
            objects.append(
                {
                    "image_id": id,
                    "category_id": kind,
                    "bbox": box.tolist(),
                    "area": area,
                    "iscrowd": crowd,
                }
            )
            for _ in range(rng.integers(0, 5)):
                moved = box + rng.integers(-4, 5, 4) * rng.choice([0, 1, 2, 4])
                moved[2:] = np.maximum(moved[2:], 1)
                other = kind if rng.random() < 0.7 else int(rng.choice(category))
                if other != category[0]:
                    found.append(_detection(id, other, moved, np.round(rng.random(), 1)))
    # Once more as many as count, of one class; and detections where nothing is.
    crowd_id = objects[0]["image_id"]
    for _ in range(130):
        box = np.concatenate((rng.integers(0, 40, 2), rng.choice([20, 40, 96], 2)))
        found.append(_detection(crowd_id, category[1], box, np.round(rng.random(), 2)))
    for id in ids[-4:-2]:
        found.append(_detection(id, category[-1], [1, 1, 30, 30], 0.95))
        found.append(_detection(id, category[1], [1, 1, 30, 30], 0.95))
    order = rng.permutation(len(objects))
    objects = [{**objects[k], "id": int(n) + 1} for n, k in enumerate(order)]
    return {
        "images": [{"id": id, "width": 170, "height": 170} for id in ids],
        "annotations": objects,
        "categories": [{"id": id, "name": str(id)} for id in category],
    }, [found[k] for k in rng.permutation(len(found))]


def _detection(image: int, category: int, box: Any, score: float) -> File:
    box = [float(v) for v in box]
    return {"image_id": image, "category_id": category, "bbox": box, "score": float(score)}


def with_masks(content: File, found: list[File], seed: int) -> tuple[File, list[File]]:
    """The same with a random blob in each box as its mask; detections without boxes."""
    rng = np.random.default_rng(seed)
    size = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    objects = [
        {**o, "segmentation": _blob(o["bbox"], size[o["image_id"]], rng)}
        for o in content["annotations"]
    ]
    masked = [
        {
            "image_id": d["image_id"],
            "category_id": d["category_id"],
            "score": d["score"],
            "segmentation": _blob(d["bbox"], size[d["image_id"]], rng),
        }
        for d in found
    ]
    return {**content, "annotations": objects}, masked


def _blob(box: Any, size: tuple[int, int], rng: np.random.Generator) -> Rle:
    from pycocotools import mask

    x, y, w, h = (int(v) for v in box)
    picture = np.zeros(size, np.uint8, order="F")
    part = picture[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)]
    part[:] = np.repeat(rng.random((part.shape[0], -(-part.shape[1] // 5))) < 0.9, 5, axis=1)[
        :, : part.shape[1]
    ]
    found: Rle = mask.encode(picture)
    return found
