"""Follow a data set's test sequences with OpenCV's MIL tracker, which needs no weights.

Run: python -m studies.opencv_tracker --dataset folder --data-root DIR --out BOXES; then
`harness evaluate --task tracking --boxes BOXES --dataset folder --data-root DIR` scores them. Boxes
are written as the GOT-10k toolkit writes them. MIL (Babenko et al. 2009) learns a classifier of
patches while it follows; its random numbers come from OpenCV's generator, seeded here.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.options import RunOptions
from harness.recipes import resolve
from tasks.tracking.sequences import Sequence
from tasks.tracking.task import Tracking


def follow(sequence: Sequence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes (T,4) x, y, width, height, and seconds (T,). MIL takes and gives whole pixels."""
    cv2.setRNGSeed(0)
    tracker = cv2.TrackerMIL.create()
    boxes, seconds = np.empty((len(sequence), 4)), np.empty(len(sequence))
    boxes[0] = sequence.boxes[0]
    for frame in range(len(sequence)):
        image = np.ascontiguousarray(sequence.frames.read(frame)[..., ::-1])
        began = time.perf_counter()
        if frame == 0:
            x, y, width, height = np.rint(boxes[0]).astype(int).tolist()
            tracker.init(image, (x, y, max(width, 1), max(height, 1)))
        else:
            found, box = tracker.update(image)
            boxes[frame] = box if found else boxes[frame - 1]
        seconds[frame] = time.perf_counter() - began
    return boxes, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="microworld")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    options = RunOptions(task="tracking", dataset=given.dataset, data_root=given.data_root)
    dataset = Tracking().dataset(resolve(options), "test")  # type: ignore[arg-type]
    for number, sequence in enumerate(dataset.sequences):
        boxes, seconds = follow(sequence)
        folder = given.out / sequence.name
        folder.mkdir(parents=True, exist_ok=True)
        np.savetxt(folder / f"{sequence.name}_001.txt", boxes, fmt="%.3f", delimiter=",")
        np.savetxt(folder / f"{sequence.name}_time.txt", seconds, fmt="%.8f")
        print(f"{number + 1}/{len(dataset.sequences)} {sequence.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
