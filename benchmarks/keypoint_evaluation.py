"""Keypoint evaluation: ours against pycocotools, on the same people and detections.

Run: python -m benchmarks.keypoint_evaluation [--images N] [--repeats N]. Both sides start from what
they keep in memory (pycocotools: its index, after loadRes), and end with the ten figures, which
are compared to 1e-9. Bootstrap errors are timed beside. Interleaved in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from typing import Any

import numpy as np

from tasks.pose.matching import Detections, Truth, bounding_areas, match
from tasks.pose.metrics import COCO_RANGES
from tasks.pose.precision import figures
from tasks.pose.skeleton import skeleton
from tasks.scoring.resampling import draws

SIDED = [
    f"{s}_{j}" for j in ("eye", "ear", "shoulder", "elbow", "wrist") for s in ("left", "right")
]
SIDED += [f"{s}_{j}" for j in ("hip", "knee", "ankle") for s in ("left", "right")]
SIGMAS = np.array(skeleton(["nose", *SIDED]).sigmas)
NAMES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def people(images: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Random people, 3.7 an image as in COCO's val2017 with persons, two detections each."""
    rng = np.random.default_rng(0)
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image in range(1, images + 1):
        for _ in range(int(rng.integers(1, 7))):
            side = float(rng.uniform(25, 250))
            points = rng.uniform(0, 400, 2) + rng.uniform(0, side, (17, 2))
            v = rng.choice([0, 1, 2], 17, p=[0.3, 0.1, 0.6])
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "iscrowd": int(rng.random() < 0.02),
                    "bbox": [*points.min(0).tolist(), side, side],
                    "area": side**2 * 0.6,
                    "num_keypoints": int((v > 0).sum()),
                    "keypoints": np.concatenate((points, v[:, None]), 1).ravel().tolist(),
                }
            )
            for share in (0.02, 0.1):
                moved = points + rng.normal(0, side * share, (17, 2))
                found.append(
                    {
                        "image_id": image,
                        "category_id": 1,
                        "score": float(rng.random()),
                        "keypoints": np.concatenate((moved, np.ones((17, 1))), 1).ravel().tolist(),
                    }
                )
    return {
        "images": [{"id": image} for image in range(1, images + 1)],
        "annotations": truth,
        "categories": [{"id": 1, "name": "person"}],
    }, found


def arrays(truth: dict[str, Any], found: list[dict[str, Any]]) -> tuple[Truth, Detections]:
    given = truth["annotations"]
    crowd = np.array([bool(p["iscrowd"]) for p in given])
    points = np.array([d["keypoints"] for d in found]).reshape(len(found), 17, 3)[..., :2]
    return Truth(
        np.array([p["image_id"] - 1 for p in given]),
        np.array([p["id"] for p in given]),
        np.array([p["bbox"] for p in given]),
        np.array([p["keypoints"] for p in given], dtype=float).reshape(len(given), 17, 3),
        np.array([p["area"] for p in given]),
        crowd | np.array([p["num_keypoints"] == 0 for p in given]),
        crowd,
    ), Detections(
        np.array([d["image_id"] - 1 for d in found]),
        points,
        np.array([d["score"] for d in found]),
        bounding_areas(points),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=2800)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = people(options.images)
    ours = arrays(truth, found)
    areas = {letter: number for number, letter in enumerate(COCO_RANGES)}
    with contextlib.redirect_stdout(io.StringIO()):
        index = COCO()
        index.dataset = truth
        index.createIndex()
        results = index.loadRes(found)
    seconds: dict[str, list[float]] = {"ours": [], "pycocotools": [], "200 resamples": []}
    for _ in range(options.repeats):
        start = time.perf_counter()
        outcomes = match(*ours, SIGMAS, list(COCO_RANGES.values()), options.images)
        mine = figures(outcomes, areas, np.ones((1, options.images)))
        seconds["ours"].append(time.perf_counter() - start)
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            reference = COCOeval(index, results, "keypoints")
            reference.evaluate()
            reference.accumulate()
            reference.summarize()
        seconds["pycocotools"].append(time.perf_counter() - start)
        start = time.perf_counter()
        figures(outcomes, areas, draws(options.images))
        seconds["200 resamples"].append(time.perf_counter() - start)
        for name, value in zip(NAMES, reference.stats, strict=True):
            assert abs(float(mine[name][0]) - value) < 1e-9, name
    print(f"{len(truth['annotations'])} people, {len(found)} detections, AP {mine['AP'][0]:.4f}")
    for name, values in seconds.items():
        low, high = min(values), max(values)
        print(f"{name:>14}: {statistics.median(values):8.3f} s  ({low:.3f} to {high:.3f})")
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["pycocotools"], strict=True)]
    print(f"ours is {statistics.median(ratios):.0f}x ({min(ratios):.0f} to {max(ratios):.0f})")


if __name__ == "__main__":
    main()
