"""Render a stretch of a data set into its files; run as a process by `prepare`.

A process of its own module, not of multiprocessing: it needs no guard in the caller's script and
inherits none of the caller's threads.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tasks.microworld.annotate import annotate
from tasks.microworld.describe import VIDEO_FRAMES, describe
from tasks.microworld.ranges import Kind
from tasks.microworld.render import render

REPORT_EVERY = 16


@dataclass(frozen=True, slots=True)
class Job:
    """Samples `start` to `stop` of a data set that begins at world index `first`."""

    folder: str
    kind: Kind
    seed: int
    first: int
    size: tuple[int, int]
    labelled: bool
    start: int
    stop: int


def run(job: Job, report: Callable[[int], None]) -> None:
    """Render the job's samples into the files that lie ready; `report` gets how many are new."""
    folder = Path(job.folder)
    arrays = {path.stem: np.load(path, mmap_mode="r+") for path in sorted(folder.glob("*.npy"))}
    frames = VIDEO_FRAMES if job.kind == "video" else 1
    lines = []
    for number in range(job.start, job.stop):
        for frame in range(frames):
            scene = describe(job.seed, job.first + number, job.kind, frame)
            rendered = render(scene, job.size)
            row = number * frames + frame
            arrays["images"][row] = rendered.image
            if job.labelled:
                arrays["depth"][row] = np.rint(rendered.depth * 1000).astype(np.uint16)
                arrays["instances"][row] = rendered.instances
                lines.append(json.dumps(asdict(annotate(scene, rendered)), separators=(",", ":")))
        if (number + 1 - job.start) % REPORT_EVERY == 0 or number + 1 == job.stop:
            report((number - job.start) % REPORT_EVERY + 1)
    for array in arrays.values():
        array.flush()
    if job.labelled:
        text = "".join(line + "\n" for line in lines)
        (folder / f"annotations-{job.start:09d}.part").write_text(text)


def main() -> None:
    """Read a job as JSON from stdin; write a line with a count for each stretch done."""
    values = json.load(sys.stdin)
    run(Job(**{**values, "size": tuple(values["size"])}), lambda new: print(new, flush=True))


if __name__ == "__main__":
    main()
