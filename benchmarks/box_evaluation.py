"""Box or mask evaluation: ours against pycocotools, on the same objects and detections.

Run: python -m benchmarks.box_evaluation [--images N] [--repeats N] [--masks]. Both sides start from
what they keep in memory (pycocotools: its index, after loadRes; ours: arrays), and end with the
twelve figures, which must be equal to the last bit. Neither has threads; seconds are those of the
processor, so that other work on the machine counts little. Timed beside: each side's way from
stored results to that (loadRes; rows to arrays), 200 resamples, and the six kinds of errors.
Interleaved in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from tasks.detection.annotations import Annotations, Detections, Images, Objects, Rle
from tasks.detection.scoring.precision import evaluate
from tasks.detection.scoring.rows import read
from tasks.detection.scoring.tide import errors, losses
from tasks.scoring.resampling import draws

CLASSES, OBJECTS, DETECTIONS = 80, 7.2, 100


def scene(images: int, seed: int = 0) -> tuple[Annotations, Detections]:
    """Objects of a few classes an image, one of them in company as people are in COCO; of each
    several detections, the better the higher their score, some under another class; the rest of
    the 100 an image lies anywhere, with low scores."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, CLASSES + 1) ** 0.9
    frequency /= frequency.sum()
    count = np.minimum(rng.geometric(1 / OBJECTS, images), 60)
    image = np.repeat(np.arange(images), count)
    kinds = rng.choice(CLASSES, (images, 3), p=frequency)
    category = kinds[image, rng.choice(3, len(image), p=[0.6, 0.25, 0.15])]
    side = np.exp(rng.normal(4.2, 1.0, (len(image), 2))).clip(6, 400)
    boxes = np.concatenate((rng.uniform(0, 1, (len(image), 2)) * (640 - side), side), 1).round(2)
    objects = Objects(
        np.arange(1, len(image) + 1),
        image,
        category,
        boxes,
        (boxes[:, 2] * boxes[:, 3] * rng.uniform(0.4, 0.9, len(image))).round(2),
        rng.random(len(image)) < 0.012,
    )
    each = np.minimum(rng.poisson(5, len(image)), 12)
    source = np.repeat(np.arange(len(image)), each)
    spread = rng.exponential(0.12, len(source))
    shift = rng.normal(0, 1, (len(source), 4)) * (spread[:, None] * np.tile(boxes[source, 2:], 2))
    near = np.maximum(boxes[source] + shift, [-1e9, -1e9, 1, 1])
    kind = np.where(
        rng.random(len(source)) < 0.75, category[source], rng.choice(CLASSES, len(source))
    )
    score = np.exp(-3 * spread) * rng.uniform(0.3, 1, len(source))
    spare = np.maximum(DETECTIONS - np.bincount(image[source], minlength=images), 0)
    other = np.repeat(np.arange(images), spare)
    sides = np.exp(rng.normal(4.2, 1.0, (len(other), 2))).clip(6, 400)
    corner = rng.uniform(0, 1, (len(other), 2)) * (640 - sides)
    mixed = np.where(
        rng.random(len(other)) < 0.5,
        kinds[other, rng.integers(0, 3, len(other))],
        rng.choice(CLASSES, len(other)),
    )
    where = np.concatenate((image[source], other))
    scores = np.concatenate((score, rng.uniform(0.05, 0.3, len(other)))).astype(np.float32)
    # As a detector gives them: image by image, the best first, no more than 100.
    order = np.lexsort((-scores, where))
    rank = np.arange(len(order)) - np.searchsorted(where[order], where[order])
    order = order[rank < DETECTIONS]
    found = Detections(
        where[order],
        np.concatenate((kind, mixed))[order],
        np.concatenate((near, np.concatenate((corner, sides), 1)))[order].round(2),
        scores[order].astype(float),
    )
    size = np.full((images, 2), 640)
    names = tuple(f"class {k}" for k in range(CLASSES))
    every = Images(np.arange(1, images + 1), ("",) * images, size)
    return Annotations(every, objects, names, np.arange(1, CLASSES + 1), {}), found


def ellipses(boxes: np.ndarray[Any, Any]) -> tuple[Rle, ...]:
    """A mask in each box, of 640x640 pixels."""
    from pycocotools import mask

    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack((np.cos(angle), np.sin(angle)), 1) / 2 + 0.5
    outlines = boxes[:, None, :2] + circle * boxes[:, None, 2:]
    return tuple(
        mask.frPyObjects([one], 640, 640)[0] for one in outlines.reshape(len(boxes), -1).tolist()
    )


def coco_files(
    truth: Annotations, found: Detections
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    o = truth.objects
    annotations = [
        {
            "id": int(o.ids[k]),
            "image_id": int(o.image[k]) + 1,
            "category_id": int(o.category[k]) + 1,
            "bbox": o.boxes[k].tolist(),
            "area": float(o.areas[k]),
            "iscrowd": int(o.crowd[k]),
        }
        | ({"segmentation": o.masks[k]} if o.masks else {})
        for k in range(len(o))
    ]
    results = [
        {
            "image_id": int(found.image[k]) + 1,
            "category_id": int(found.category[k]) + 1,
            "score": float(found.scores[k]),
        }
        | ({"segmentation": found.masks[k]} if found.masks else {"bbox": found.boxes[k].tolist()})
        for k in range(len(found))
    ]
    content = {
        "images": [{"id": id, "height": 640, "width": 640} for id in truth.images.ids.tolist()],
        "annotations": annotations,
        "categories": [{"id": id, "name": str(id)} for id in truth.category_ids.tolist()],
    }
    return content, results


def stored(truth: Annotations, found: Detections) -> list[dict[str, Any]]:
    """Predictions as rows, one an image."""
    ends = np.searchsorted(found.image, np.arange(len(truth.images) + 1)).tolist()
    return [
        {
            "sample": number,
            "image_id": number + 1,
            "height": 640,
            "width": 640,
            "boxes": found.boxes[a:b].ravel().tolist(),
            "scores": found.scores[a:b].tolist(),
            "categories": found.category[a:b].tolist(),
            "masks": [m["counts"] for m in found.masks[a:b]],
        }
        for number, (a, b) in enumerate(pairwise(ends))
    ]


def timed(call: Callable[[], Any], seconds: list[float]) -> Any:
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        value = call()
    seconds.append(time.process_time() - start)
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--masks", action="store_true", help="masks in place of boxes")
    options = parser.parse_args()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = scene(options.images)
    if options.masks:
        objects = replace(truth.objects, masks=ellipses(truth.objects.boxes))
        truth, found = replace(truth, objects=objects), replace(found, masks=ellipses(found.boxes))
    kind: Any = "mask" if options.masks else "box"
    content, results = coco_files(truth, found)
    rows = stored(truth, found)
    index = COCO()
    index.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()

    def reference(loaded: Any) -> Any:
        run = COCOeval(index, loaded, "segm" if options.masks else "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
        return run.stats.tolist()

    def mistakes() -> Any:
        matching = evaluate(truth, found, kind).matching
        wrong = errors(truth, found, kind, matching)
        return losses(truth, found, matching, wrong).at(np.ones(options.images, np.int64))

    names = ["rows to arrays", "ours", "loadRes", "pycocotools", "200 resamples", "kinds of errors"]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.repeats):
        timed(lambda: read(rows, truth), seconds["rows to arrays"])
        mine = timed(lambda: evaluate(truth, found, kind).once.figures(), seconds["ours"])
        fresh = [dict(result) for result in results]
        loaded = timed(lambda given=fresh: index.loadRes(given), seconds["loadRes"])
        theirs = timed(lambda given=loaded: reference(given), seconds["pycocotools"])
        result = evaluate(truth, found, kind)
        drawn = draws(options.images).astype(np.int64)
        timed(
            lambda given=result, all=drawn: [given.scores(w).figures() for w in all],
            seconds["200 resamples"],
        )
        timed(mistakes, seconds["kinds of errors"])
        assert list(mine.values()) == theirs, (mine, theirs)
    print(f"{len(truth.objects)} objects, {len(found)} detections, AP {mine['AP']:.4f}")
    for name, values in seconds.items():
        low, high = min(values), max(values)
        print(f"{name:>15}: {statistics.median(values):8.3f} s  ({low:.3f} to {high:.3f})")
    for label, ours, other in (
        ("evaluation alone", seconds["ours"], seconds["pycocotools"]),
        (
            "from stored results",
            *(
                [a + b for a, b in zip(seconds[one], seconds[two], strict=True)]
                for one, two in (("rows to arrays", "ours"), ("loadRes", "pycocotools"))
            ),
        ),
    ):
        ratios = [b / a for a, b in zip(ours, other, strict=True)]
        spread = f"{min(ratios):.0f} to {max(ratios):.0f}"
        print(f"{label}: ours is {statistics.median(ratios):.0f}x ({spread})")


if __name__ == "__main__":
    main()
