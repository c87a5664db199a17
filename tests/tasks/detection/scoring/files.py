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
