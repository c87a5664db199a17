"""The depth pipeline: ours against mmsegmentation's own transforms, on the same files.

Run: python -m benchmarks.depth_pipeline --folder PAIRS [--unit N] [--repeats N] [--images N].
PAIRS is a folder of pairs as the data set `folder` reads it, `unit` its numbers a metre. Its pairs
are brought to NYUv2's form once, JPEG and 16-bit PNG of 640x480 in millimetres, in a temporary
folder. From those files to one sample of 480x480, bytes and metres, one process, one thread;
interleaved, by the clock of the process, so that others on the machine count less.

`training, no colours`: CutDepth, mirror, crop: the same steps on both sides, each with its own
draws from the same distributions; theirs are LoadImageFromFile, LoadDepthAnnotation,
RandomDepthMix, RandomFlip, RandomCrop, PackSegInputs. `training`: ours with brightness, contrast,
gamma, hue, saturation and value as published. mmsegmentation has these by albumentations alone,
which is not installed here; theirs are PhotoMetricDistortion's brightness, contrast, saturation
and hue, each with probability 1/2 as ours: alike in work, not equal. `evaluation`: the whole image
and its depth; on our side also the pixels that count. In evaluation both have to give the same
pixels. Ours compares the checksums of PNG, finds maps without use, and what is no depth in its
unit; theirs does not.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from tasks.depth.data import DepthDataset
from tasks.depth.recipe import DepthRecipe
from tasks.openmmlab import load

SIZE, INPUT = (480, 640), (480, 480)
MILLIMETRES = 1000.0
MOVES = {"cutdepth": 0.25, "cutdepth_paste": "published", "flip": 0.5, "crop": "random"}
COLOURS = {"brightness_contrast": 0.5, "gamma": 0.5, "hue_saturation": 0.5}

Files = list[tuple[str, str]]
Side = Callable[[int], object]


def recipe(root: Path, unit: float, **augmentation: object) -> DepthRecipe:
    given = {
        "scale": "paper",
        "backbone": {"input_size": INPUT},
        "data": {"name": "folder", "root": root, "unit": unit, "join_selection": True},
        "test": {"size": SIZE, "windows": 2},
        "optimizer": {"lr": 1e-3},
        "schedule": {},
        "train": {"batch_size": 1, "steps": 1},
        "augmentation": augmentation,
    }
    return DepthRecipe.model_validate(given)


def write(source: DepthDataset, target: Path, count: int) -> Files:
    """Pairs of NYUv2's size, listed as the training and the test split."""
    files, lines = [], []
    for index in range(min(count, len(source))):
        image, depth = source.source.image(index), source.source.depth(index)
        image = np.asarray(cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_CUBIC))
        numbers = np.rint(depth.at(SIZE).metres() * MILLIMETRES).astype(np.uint16)
        for part in ("train", "test"):
            names = (f"{part}/{index}.jpg", f"{part}/{index}.png")
            (target / part).mkdir(exist_ok=True)
            quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
            cv2.imwrite(str(target / names[0]), image[..., ::-1], quality)
            cv2.imwrite(str(target / names[1]), numbers)
            lines.append((part, " ".join(names)))
        files.append((str(target / names[0]), str(target / names[1])))
    for part in ("train", "test"):
        listed = "\n".join(line for of, line in lines if of == part)
        (target / f"{part}_files.txt").write_text(listed)
    return files


def theirs(files: Files, steps: list[Callable[[dict[str, Any]], dict[str, Any]]]) -> Side:
    """A sample as a pipeline of mmsegmentation gives it."""

    def sample(index: int) -> dict[str, Any]:
        image, depth = files[index]
        results: dict[str, Any] = {"img_path": image, "depth_map_path": depth, "seg_fields": []}
        for step in steps:
            results = step(results)
        return results

    return sample


def pipelines(files: Files) -> dict[str, Side]:
    transforms = load("mmseg.datasets.transforms")
    reading = load("mmcv.transforms")
    start = [
        reading.LoadImageFromFile(),
        transforms.LoadDepthAnnotation(depth_rescale_factor=1 / MILLIMETRES),
    ]
    moves = [
        transforms.RandomDepthMix(prob=MOVES["cutdepth"]),
        reading.RandomFlip(prob=MOVES["flip"]),
        transforms.RandomCrop(crop_size=INPUT),
    ]
    end = [transforms.PackSegInputs(meta_keys=())]
    colours = [transforms.PhotoMetricDistortion()]
    return {
        "training, no colours": theirs(files, [*start, *moves, *end]),
        "training": theirs(files, [*start, *moves, *colours, *end]),
        "evaluation": theirs(files, [*start, *end]),
    }


def ours(root: Path) -> dict[str, Side]:
    plain, coloured = (
        DepthDataset(recipe(root, MILLIMETRES, **MOVES, **colours), "training")
        for colours in ({}, COLOURS)
    )
    test = DepthDataset(recipe(root, MILLIMETRES), "test")
    return {
        "training, no colours": lambda index: plain.item(index, np.random.default_rng(index)),
        "training": lambda index: coloured.item(index, np.random.default_rng(index)),
        "evaluation": lambda index: test.item(index, None),
    }


def compare(one: Any, other: Any) -> None:
    """Ours is RGB and metres, theirs BGR and numbers times a thousandth."""
    depth = other["data_samples"].gt_depth_map.data[0]
    torch.testing.assert_close(torch.from_numpy(one["depth"]), depth, rtol=1e-6, atol=0)
    assert (torch.from_numpy(one["image"]) == other["inputs"].flip(0)).all()


def decoding(files: Files) -> Side:
    def decode(index: int) -> None:
        for path in files[index]:
            cv2.imread(path, cv2.IMREAD_UNCHANGED)

    return decode


def rate(side: Side, count: int) -> float:
    """Samples in a second of one core."""
    start = time.process_time()
    for index in range(count):
        side(index)
    return count / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, required=True, help="pairs of images and depth")
    parser.add_argument("--unit", type=float, default=MILLIMETRES, help="numbers of PNG a metre")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--images", type=int, default=48)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = write(
            DepthDataset(recipe(options.folder, options.unit), "training"), root, options.images
        )
        sizes = [sum(Path(pair[k]).stat().st_size for pair in files) for k in range(2)]
        said = " and ".join(f"{size / len(files) / 1000:.0f} kB" for size in sizes)
        print(f"{len(files)} pairs of 640x480, {said}")
        mine, others = ours(root), pipelines(files)
        for index in range(len(files)):
            compare(mine["evaluation"](index), others["evaluation"](index))
        sides = {f"{name}, ours": side for name, side in mine.items()}
        sides |= {f"{name}, mmsegmentation": side for name, side in others.items()}
        sides["decoding alone"] = decoding(files)
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(options.repeats + 1):
            for name, side in sides.items():
                found = rate(side, len(files))
                if number:  # The first round warms up.
                    rates[name].append(found)
    for name, values in rates.items():
        spread = f"({min(values):.0f} to {max(values):.0f})"
        print(f"{name:>36}: {statistics.median(values):5.0f} samples/s {spread}")
    for name in mine:
        pair = (rates[f"{name}, ours"], rates[f"{name}, mmsegmentation"])
        ratios = [a / b for a, b in zip(*pair, strict=True)]
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name}: {statistics.median(ratios):.2f}x {spread}")


if __name__ == "__main__":
    main()
