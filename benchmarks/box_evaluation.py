"""Box and mask evaluation: ours against pycocotools, on the same objects and detections.

Run: python -m benchmarks.box_evaluation [--images N] [--repeats N] [--masks]. Both sides start from
what they keep in memory (pycocotools: its index, after loadRes), and end with the twelve figures,
which are compared to the last bit. Beside: the same with each side's own conversion from a list of
results, 200 resamples, and the six kinds of errors. Interleaved in one process.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.detection.annotations import Annotations, Detections, Images, Objects

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


def coco_files(
    truth: Annotations, found: Detections
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    o = truth.objects
    columns = zip(
        o.ids.tolist(),
        o.image.tolist(),
        o.category.tolist(),
        o.boxes.tolist(),
        o.areas.tolist(),
        o.crowd.tolist(),
        strict=True,
    )
    annotations = [
        {
            "id": id,
            "image_id": image + 1,
            "category_id": category + 1,
            "bbox": box,
            "area": area,
            "iscrowd": int(crowd),
        }
        for id, image, category, box, area, crowd in columns
    ]
    results = [
        {"image_id": image + 1, "category_id": category + 1, "bbox": box, "score": score}
        for image, category, box, score in zip(
            found.image.tolist(),
            found.category.tolist(),
            found.boxes.tolist(),
            found.scores.tolist(),
            strict=True,
        )
    ]
    content = {
        "images": [{"id": id, "height": 640, "width": 640} for id in truth.images.ids.tolist()],
        "annotations": annotations,
        "categories": [{"id": id, "name": str(id)} for id in truth.category_ids.tolist()],
    }
    return content, results
