"""The detection pipeline: ours against mmdet's own transforms, same augmentations, same files.

Run: python -m benchmarks.detection_pipeline [--root COCO] [--repeats N] [--images N]. From JPEG
files and their annotations to batches of two, one process, one thread; decoding alone beside.
Augmentations: mmdet's 1x schedule of one size and Swin's of several with crops (canvas 1344x1344),
large-scale jitter (1024x1024). The files are made up, 640x480 with seven polygons each, or the
training images of a folder in COCO's layout. Interleaved, by the clock of the process; each side
draws its own random numbers from the same distributions.

Ours is the data set's `item` and the engine's collation: images and masks end on the canvas.
`mmdet` ends with `PackDetInputs`, images and masks in sizes of their own, to be padded by the
model; `mmdet, canvas` pads them to the canvas as ours does. Jitter is OpenCV's on both sides;
`ours, pillow` resizes as detectron2 does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from harness.engine.order import collate
from tasks import images, openmmlab
from tasks.detection.data import DetectionDataset
from tasks.detection.recipe import DetectionRecipe

SIZE = (640, 480)
BATCH, OBJECTS = 2, 7
TRAINING = ("annotations/instances_train2017.json", "train2017")
SHORT = tuple(range(480, 801, 32))
CANVAS = {"resize": 1344, "swin": 1344, "jitter": 1024}
AUGMENTATION: dict[str, dict[str, Any]] = {
    "resize": {"mode": "resize"},
    "swin": {"mode": "resize_crop", "short_sides": SHORT},
    "jitter": {"mode": "jitter"},
}


def write(root: Path, count: int) -> None:
    """Photographs' statistics matter to a decoder: smooth shapes with some grain."""
    rng = np.random.default_rng(0)
    entries: dict[str, list[Any]] = {"images": [], "annotations": []}
    (root / "annotations").mkdir(parents=True)
    for folder in ("train2017", "val2017"):
        (root / folder).mkdir()
    for number in range(1, count + 1):
        smooth = cv2.resize(rng.integers(0, 255, (12, 16, 3)).astype(np.uint8), SIZE)
        for _ in range(OBJECTS):
            polygon = outline(rng)
            cv2.fillPoly(smooth, [polygon.astype(np.int32)], rng.integers(0, 255, 3).tolist())
            box = [*polygon.min(0), *(polygon.max(0) - polygon.min(0))]
            entries["annotations"].append(
                {
                    "id": len(entries["annotations"]) + 1,
                    "image_id": number,
                    "category_id": int(rng.integers(1, 4)),
                    "bbox": [float(value) for value in box],
                    "area": float(cv2.contourArea(polygon.astype(np.float32))),
                    "iscrowd": 0,
                    "segmentation": [polygon.ravel().tolist()],
                }
            )
        grain = rng.normal(0, 6, (SIZE[1], SIZE[0], 3))
        pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        name = f"{number}.jpg"
        cv2.imwrite(str(root / "train2017" / name), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
        entries["images"].append(
            {"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]}
        )
    entries["categories"] = [{"id": k, "name": f"thing {k}"} for k in (1, 2, 3)]
    (root / TRAINING[0]).write_text(json.dumps(entries))


def outline(rng: np.random.Generator) -> np.ndarray:
    """A star-shaped polygon (25, 2) within the image; sizes as unequal as COCO's."""
    radius = float(np.exp(rng.uniform(np.log(8), np.log(180))))
    angles = np.sort(rng.uniform(0, 2 * np.pi, 25))
    points = radius * rng.uniform(0.6, 1, (25, 1)) * np.stack((np.cos(angles), np.sin(angles)), 1)
    return np.clip(rng.uniform((0, 0), SIZE) + points, (0, 0), SIZE)


def ours(root: Path, kind: str, **more: Any) -> DetectionDataset:
    """The training split under an augmentation."""
    given = {
        "scale": "paper",
        "backbone": {"input_size": [CANVAS[kind]] * 2},
        "data": {"name": "coco", "root": root, "held_out": 0.01, "repair": True},
        "augmentation": AUGMENTATION[kind] | more,
        "optimizer": {"lr": 1e-4},
        "schedule": {},
        "train": {"batch_size": BATCH, "steps": 1},
    }
    return DetectionDataset(DetectionRecipe.model_validate(given), "training")


def theirs(root: Path, kind: str, names: tuple[str, ...], pad: bool) -> Any:
    """mmdet's data set of the same files, with the published order of its transforms."""
    from mmengine.registry import DefaultScope

    coco = openmmlab.load("mmdet.datasets.coco").CocoDataset
    canvas = (CANVAS[kind], CANVAS[kind])
    flip = {"type": "RandomFlip", "prob": 0.5}
    several = resized(SHORT)
    middle: dict[str, list[dict[str, Any]]] = {
        "resize": [{"type": "Resize", "scale": (1333, 800), "keep_ratio": True}, flip],
        "swin": [
            flip,
            {
                "type": "RandomChoice",
                "transforms": [[several], [resized((400, 500, 600)), crop((384, 600)), several]],
            },
        ],
        "jitter": [
            flip,
            {
                "type": "RandomResize",
                "scale": canvas,
                "ratio_range": (0.1, 2.0),
                "keep_ratio": True,
            },
            crop(canvas, crop_type="absolute", recompute_bbox=True),
            {"type": "FilterAnnotations", "min_gt_bbox_wh": (1e-2, 1e-2)},
        ],
    }
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
        *middle[kind],
        *([{"type": "Pad", "size": canvas}] if pad else []),
        {"type": "PackDetInputs"},
    ]
    # pycocotools says that it reads.
    with DefaultScope.overwrite_default_scope("mmdet"), redirect_stdout(None):
        return coco(
            data_root=str(root),
            ann_file=TRAINING[0],
            data_prefix={"img": TRAINING[1]},
            metainfo={"classes": names},
            filter_cfg={"filter_empty_gt": True},
            pipeline=pipeline,
        )


def resized(sides: tuple[int, ...]) -> dict[str, Any]:
    scales = [(side, 1333) for side in sides]
    return {"type": "RandomChoiceResize", "scales": scales, "keep_ratio": True}


def crop(size: tuple[int, int], crop_type: str = "absolute_range", **more: Any) -> dict[str, Any]:
    settings = {"crop_size": size, "crop_type": crop_type, "allow_negative_crop": True}
    return {"type": "RandomCrop", **settings, **more}


Side = Callable[[list[int]], object]


def our_batch(dataset: DetectionDataset) -> Side:
    generator = np.random.default_rng(0)
    return lambda rows: collate([dataset.item(row, generator) for row in rows])


def their_batch(dataset: Any) -> Side:
    gather = openmmlab.load("mmengine.dataset").pseudo_collate
    return lambda rows: gather([dataset[row] for row in rows])


def decoding(dataset: DetectionDataset) -> Side:
    return lambda rows: [dataset.image(row) for row in rows]


def same_start(ours: DetectionDataset, theirs: Any) -> None:
    """See that both sides read the same pixels of the same file."""
    name = Path(theirs.get_data_info(0)["img_path"]).name
    row = ours.annotations.images.files.index(name)
    folder = ours.recipe.data.root
    assert folder is not None
    read = openmmlab.load("mmcv").imread(str(folder / TRAINING[1] / name))
    np.testing.assert_array_equal(ours.image(row), read[:, :, ::-1])
    np.testing.assert_array_equal(images.read(folder / TRAINING[1] / name), read[:, :, ::-1])


def cost(side: Side, rows: list[int]) -> float:
    """Milliseconds an image."""
    start = time.process_time()
    for first in range(0, len(rows), BATCH):
        side(rows[first : first + BATCH])
    return 1000 * (time.process_time() - start) / len(rows)


def compare(root: Path, kind: str, repeats: int) -> None:
    dataset = ours(root, kind)
    names = dataset.annotations.categories
    padded, plain = (theirs(root, kind, names, pad) for pad in (True, False))
    same_start(dataset, plain)
    sides = {
        "ours": our_batch(dataset),
        "mmdet": their_batch(plain),
        "mmdet, canvas": their_batch(padded),
        "decoding alone": decoding(dataset),
    }
    if kind == "jitter":
        sides["ours, pillow"] = our_batch(ours(root, kind, resampler="pillow"))
    rows = list(range(min(len(dataset), len(plain)) // BATCH * BATCH))
    costs: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(repeats + 1):
        for name, side in sides.items():
            found = cost(side, rows)
            if number:  # The first round warms up.
                costs[name].append(found)
    for name, values in costs.items():
        spread = f"({min(values):.1f} to {max(values):.1f})"
        print(f"{kind:>6}, {name:>14}: {statistics.median(values):6.1f} ms an image {spread}")
    for name in ("mmdet", "mmdet, canvas"):
        ratios = [b / a for a, b in zip(costs["ours"], costs[name], strict=True)]
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{kind:>6}, ours against {name}: {statistics.median(ratios):.2f}x {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, help="a folder in COCO's layout, with train2017")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=32, help="that are made up")
    options = parser.parse_args()
    openmmlab.load("mmdet.datasets.transforms")
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    np.random.seed(0)  # noqa: NPY002, mmdet draws from it
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or Path(folder)
        if options.root is None:
            write(root, options.images)
        for kind in AUGMENTATION:
            compare(root, kind, options.repeats)


if __name__ == "__main__":
    main()
