"""The pose pipeline: ours against mmpose's own transforms, same augmentations, same files.

Run: python -m benchmarks.pose_pipeline [--repeats N] [--people N]. From JPEG files of 640x480 to a
crop of 256x192 and its UDP heat maps, one process, one thread; decoding alone beside. Interleaved;
each side draws its own random numbers from the same distributions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

from tasks import openmmlab
from tasks.pose import codec, images
from tasks.pose.data import PoseDataset
from tasks.pose.recipe import PoseRecipe

RECIPE = Path(__file__).parents[1] / "tasks/pose/recipes/paper.yaml"
SIZE = (640, 480)
BATCH = 32


def write(root: Path, people: int) -> None:
    """Photographs' statistics matter to a decoder: smooth shapes with some grain."""
    rng = np.random.default_rng(0)
    sides = [f"{s}_{j}" for j in ("eye", "ear", "shoulder", "elbow") for s in ("left", "right")]
    sides += [f"{s}_{j}" for j in ("wrist", "hip", "knee", "ankle") for s in ("left", "right")]
    entries: dict[str, list[Any]] = {"images": [], "annotations": []}
    (root / "annotations").mkdir(parents=True)
    for folder in ("train2017", "val2017"):
        (root / folder).mkdir()
    for i in range(1, people + 1):
        smooth = cv2.resize(rng.integers(0, 255, (12, 16, 3)).astype(np.uint8), SIZE)
        grain = rng.normal(0, 6, (SIZE[1], SIZE[0], 3))
        pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"train2017/{i}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
        entries["images"].append(
            {"id": i, "file_name": f"{i}.jpg", "width": SIZE[0], "height": SIZE[1]}
        )
        box = [float(rng.uniform(20, 300)), float(rng.uniform(10, 100)), 180.0, 340.0]
        points = rng.uniform(box[:2], [box[0] + 180, box[1] + 340], (17, 2))
        entries["annotations"].append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": box,
                "area": 30000.0,
                "iscrowd": 0,
                "num_keypoints": 17,
                "keypoints": np.concatenate((points, np.full((17, 1), 2.0)), 1).ravel().tolist(),
            }
        )
    category = {"id": 1, "name": "person", "keypoints": ["nose", *sides]}
    text = json.dumps({**entries, "categories": [category]})
    for split in ("train2017", "val2017"):
        (root / f"annotations/person_keypoints_{split}.json").write_text(text)


def mmpose_side(data: PoseDataset) -> Callable[[int], Any]:
    """mmpose's transforms in the order of its published configurations."""
    common = openmmlab.load("mmpose.datasets.transforms.common_transforms")
    loading = openmmlab.load("mmpose.datasets.transforms.loading")
    topdown = openmmlab.load("mmpose.datasets.transforms.topdown_transforms")
    encoder = {
        "type": "UDPHeatmap",
        "input_size": (192, 256),
        "heatmap_size": (48, 64),
        "sigma": 2,
    }
    steps = [
        loading.LoadImage(),
        common.GetBBoxCenterScale(),
        common.RandomFlip(direction="horizontal"),
        common.RandomHalfBody(),
        common.RandomBBoxTransform(),
        topdown.TopdownAffine(input_size=(192, 256), use_udp=True),
        common.GenerateTarget(encoder=encoder),
    ]
    samples, lower = data.samples, np.array(data.skeleton.lower)
    folder = Path(str(data.recipe.data.root)) / "train2017"

    def one(index: int) -> Any:
        x, y, w, h = samples.boxes[index]
        result: Any = {
            "img_path": str(folder / data.images.files[samples.image[index]]),
            "bbox": np.array([[x, y, x + w, y + h]], dtype=np.float32),
            "keypoints": samples.keypoints[index][None].astype(np.float32),
            "keypoints_visible": samples.visible[index][None].astype(np.float32),
            "flip_indices": list(data.skeleton.flip),
            "upper_body_ids": np.flatnonzero(~lower).tolist(),
            "lower_body_ids": np.flatnonzero(lower).tolist(),
            "dataset_keypoint_weights": np.ones(17, dtype=np.float32),
        }
        for step in steps:
            result = step(result)
        return result

    return one


def timed(function: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    function()
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--people", type=int, default=96)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    values = yaml.safe_load(RECIPE.read_text())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        write(root, options.people)
        values["data"] |= {"root": str(root)}
        data = PoseDataset(PoseRecipe.model_validate(values), "training")
        theirs, count = mmpose_side(data), len(data)

        def ours_run() -> None:
            for first in range(0, count, BATCH):
                items = [
                    data.item(i, np.random.default_rng(i))
                    for i in range(first, min(first + BATCH, count))
                ]
                points = torch.from_numpy(np.stack([item["keypoints"] for item in items]))
                visible = torch.from_numpy(np.stack([item["visible"] for item in items]))
                codec.encode(points, visible, data.recipe.codec, (256, 192))

        def theirs_run() -> None:
            for index in range(count):
                theirs(index)

        def decoding() -> None:
            for index in range(count):
                row = int(data.samples.image[index])
                images.read(root / "train2017" / data.images.files[row], SIZE)

        sides = {"ours": ours_run, "mmpose": theirs_run, "decoding alone": decoding}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(options.repeats + 1):
            for name, side in sides.items():
                rate = timed(side, count)
                if number:  # The first round warms up.
                    rates[name].append(rate)
    for name, found in rates.items():
        spread = f"({min(found):.0f} to {max(found):.0f})"
        print(f"{name:>14}: {statistics.median(found):6.0f} people/s {spread}")
    ratios = [a / b for a, b in zip(rates["ours"], rates["mmpose"], strict=True)]
    print(f"ours is {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
