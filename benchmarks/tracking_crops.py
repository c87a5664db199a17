"""A search area from a frame: ours against pytracking's way, and a training pair beside decoding.

Run: python -m benchmarks.tracking_crops [--repeats N] [--frames N]. One process, one thread,
interleaved, by the clock of the process, so that others on the machine count less.

`window` is one affine map to the size, the frame going on in its mean colour; `mean and window`
computes that colour first, as a training pair does. pytracking cuts a square of whole pixels, pads
the part that lies outside by repeating the edge, and resizes: with OpenCV in training
(ltr/data/processing_utils.py, sample_target), with torch when it tracks
(pytracking/features/preprocessing.py, sample_patch). Its few lines are written anew here after that
description; theirs is rounded to whole pixels, ours is not. Frames are noise over smooth shapes,
the box uniform over the frame, so that some areas reach over the edge.

`pair` is a whole item of training with jitter and colours from two JPEG files, `decoding` those two
files alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tasks import images
from tasks.tracking import data
from tasks.tracking.crops import Window, mean_colour
from tasks.tracking.data import TrackingDataset
from tasks.tracking.recipe import TrackingRecipe
from tasks.tracking.sequences import Frames, Sequence, Source

FRAME, OUTPUT, FACTOR = (720, 1280), 224, 4.0
SETTINGS: dict[str, Any] = {
    "scale": "paper",
    "backbone": {"input_size": [OUTPUT, OUTPUT]},
    "crop": {"template_size": [112, 112]},
    "optimizer": {"lr": 1e-3},
    "schedule": {},
    "train": {"batch_size": 1, "steps": 1},
}

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float64]


class Files(Frames):
    """JPEG files in a folder."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count

    def __len__(self) -> int:
        return self.count

    def read(self, frame: int) -> Pixels:
        return images.read(self.folder / self.name(frame))

    def name(self, frame: int) -> str:
        return f"{frame:08d}.jpg"


def frame(rng: np.random.Generator) -> Pixels:
    """Photographs' statistics matter to a decoder: smooth shapes with some grain."""
    smooth = cv2.resize(rng.integers(0, 255, (12, 16, 3)).astype(np.uint8), FRAME[::-1])
    return np.clip(smooth + rng.normal(0, 6, (*FRAME, 3)), 0, 255).astype(np.uint8)


def boxes(count: int, rng: np.random.Generator) -> Boxes:
    """(N,4) within the frame, sides of 40 to 240 pixels."""
    sides = rng.uniform(40, 240, (count, 2))
    return np.concatenate((rng.uniform(0, 1, (count, 2)) * (FRAME[::-1] - sides), sides), 1)


def square(image: Pixels, box: Boxes) -> Pixels:
    """A square of sqrt(w h) * factor in whole pixels, padded where it lies outside."""
    side = int(np.ceil(np.sqrt(box[2] * box[3]) * FACTOR))
    left, top = (round(float(c)) for c in box[:2] + 0.5 * box[2:] - 0.5 * side)
    height, width = image.shape[:2]
    above, before = max(0, -top), max(0, -left)
    below, after = max(0, top + side - height), max(0, left + side - width)
    inner = image[top + above : top + side - below, left + before : left + side - after]
    padded = cv2.copyMakeBorder(inner, above, below, before, after, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)


def by_opencv(image: Pixels, box: Boxes) -> object:
    return cv2.resize(square(image, box), (OUTPUT, OUTPUT))


def by_torch(image: Pixels, box: Boxes) -> object:
    cut = torch.from_numpy(square(image, box)).permute(2, 0, 1)[None].float()
    return functional.interpolate(cut, (OUTPUT, OUTPUT), mode="bilinear")


def window(image: Pixels, box: Boxes) -> object:
    grey = np.full(3, 114.0)
    return Window.of(box, FACTOR, (OUTPUT, OUTPUT)).cut(image, (OUTPUT, OUTPUT), grey)


def mean_and_window(image: Pixels, box: Boxes) -> object:
    around = Window.of(box, FACTOR, (OUTPUT, OUTPUT))
    return around.cut(image, (OUTPUT, OUTPUT), mean_colour(image))


def measured(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each side in each round; the first warms up."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(repeats + 1):
        for name, side in sides.items():
            start = time.process_time()
            side()
            if number:
                found[name].append(1e3 * (time.process_time() - start))
    return found


def shown(found: dict[str, list[float]], count: int, ours: str) -> None:
    """Medians and spread, and the ratio of each to ours round by round."""
    for name, times in found.items():
        each = [t / count for t in times]
        ratios = [t / own for t, own in zip(times, found[ours], strict=True)]
        print(
            f"{name:>20}: {statistics.median(each):7.3f} ms ({min(each):.3f} to {max(each):.3f}), "
            f"{1e3 / statistics.median(each):6.0f}/s; time over {ours}: "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def pairs(folder: Path, count: int, rng: np.random.Generator) -> TrackingDataset:
    """The training split of one sequence in files."""
    for k in range(count):
        pixels = frame(rng)[..., ::-1]
        cv2.imwrite(str(folder / f"{k:08d}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    made = Sequence("made up", Files(folder, count), boxes(count, rng))
    source = Source("made up", [made], "", "none")
    settings = SETTINGS | {"data": {"name": "folder", "pairs": count}}
    with mock.patch.object(data, "open_training_sets", return_value=((source, 1.0),)):
        return TrackingDataset(TrackingRecipe.model_validate(settings), "training")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--frames", type=int, default=24)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    rng, count = np.random.default_rng(0), options.frames
    held, targets = [frame(rng) for _ in range(count)], boxes(count, rng)

    def over(cut: Callable[[Pixels, Boxes], object]) -> Callable[[], object]:
        return lambda: [cut(image, box) for image, box in zip(held, targets, strict=True)]

    sides = {
        "window": over(window),
        "mean and window": over(mean_and_window),
        "pytracking, OpenCV": over(by_opencv),
        "pytracking, torch": over(by_torch),
    }
    print(f"a search area of {OUTPUT}x{OUTPUT} from {FRAME[1]}x{FRAME[0]}, {count} frames a round")
    shown(measured(sides, options.repeats), count, "window")
    with tempfile.TemporaryDirectory() as folder:
        dataset = pairs(Path(folder), count, rng)
        frames = dataset.sequences[0].frames

        def decoded(index: int) -> object:
            drawn = dataset.pairs.draw(np.random.default_rng(index))
            return [frames.read(number) for number in (drawn.template, drawn.search)]

        both: dict[str, Callable[[], object]] = {
            "pair": lambda: [dataset.item(k, np.random.default_rng(k)) for k in range(count)],
            "decoding": lambda: [decoded(k) for k in range(count)],
        }
        print("a training pair, two files")
        shown(measured(both, max(3, options.repeats // 3)), count, "pair")


if __name__ == "__main__":
    main()
