"""Scenes of microworld a second on one core, with all annotations: described, rendered, annotated.

Run: python -m benchmarks.scenes [--scenes N] [--repeats N]. The two image sizes are interleaved in
one process.
"""

from __future__ import annotations

import argparse
import statistics
import time

from tasks.microworld import KINDS, VIDEO_FRAMES, Kind, describe, render
from tasks.microworld.annotate import annotate
from tasks.microworld.ranges import first_index

SIZES = ((128, 128), (96, 128))


def rate(kind: Kind, size: tuple[int, int], scenes: int) -> float:
    """Images a second; a scene of a video is many."""
    frames = VIDEO_FRAMES if kind == "video" else 1
    began = time.perf_counter()
    for number in range(scenes):
        scene = describe(0, first_index("training") + number // frames, kind, number % frames)
        annotate(scene, render(scene, size))
    return scenes / (time.perf_counter() - began)


def main() -> None:
    """Print median and spread by kind and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    for kind in KINDS:
        found: dict[tuple[int, int], list[float]] = {size: [] for size in SIZES}
        for _ in range(arguments.repeats):
            for size in SIZES:
                found[size].append(rate(kind, size, arguments.scenes))
        said = [
            f"{size[0]}x{size[1]}: {statistics.median(rates):4.0f} ({min(rates):.0f} to "
            f"{max(rates):.0f})"
            for size, rates in found.items()
        ]
        print(f"{kind:10} images/s at {'; '.join(said)}")


if __name__ == "__main__":
    main()
