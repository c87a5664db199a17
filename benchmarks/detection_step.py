"""A detection step, loss and backward, against mmdet's own Mask R-CNN with the same weights.

Run: python -m benchmarks.detection_step [--sizes 128 256] [--repeats N] [--device cpu|cuda]. The
encoder is the shipped one; both sides train the same layers on the same batch of 8, mmdet's from
images and records that are ready. The pairs are interleaved and their order alternates. On a CPU
the time is that of one thread's work, which other programs do not lengthen; memory is the most that
each side adds to a process of its own (Linux), on a GPU the most that is allocated.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import backbones
from tasks.contract import Term
from tasks.detection.model import Detector
from tests.tasks.detection import mask_rcnn
from tests.tasks.detection.batches import batch, info, recipe

BATCH = 8
SECTIONS: dict[str, dict[str, Any]] = {
    "neck": {"type": "simple", "norm": "layer", "channels": 64},
    "rpn": {"proposals_before": 400, "proposals_after": 200, "sampled": 64},
    "roi": {"sampled": 64, "width": 256, "mask_width": 64, "mask_convolutions": 4},
}
Step = Callable[[], Tensor]


def sides(size: int, device: str) -> dict[str, Step]:
    """The loss of either side, as functions without arguments."""
    name = backbones.resolve("simmim", "tiny")
    encoder = backbones.load(name, input_size=size)
    model = Detector(encoder, recipe((size, size), **SECTIONS), info()).to(device).train()
    model.initialise(0)
    given = batch((size, size), (4,) * BATCH)
    reference = mask_rcnn.build(model).to(device).train()
    records = [each.to(device) for each in mask_rcnn.samples(given)]
    moved = {
        key: [each.to(device) for each in value] if isinstance(value, list) else value.to(device)
        for key, value in given.items()
    }
    images = model.images(moved)

    def ours() -> Tensor:
        terms = model.loss(moved).values()
        return torch.stack([term.value for term in terms if isinstance(term, Term)]).sum()

    def theirs() -> Tensor:
        losses = reference.loss(images, records)
        return torch.stack(list(mask_rcnn.totals(losses).values())).sum()

    return {"ours": ours, "mmdet": theirs}


def seconds(step: Step, device: str) -> float:
    """Time of one step."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    step().backward()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - began


def memory(side: str, size: int, device: str) -> float:
    """MiB that three steps of one side need beside what is there before."""
    step = sides(size, device)[side]
    if device == "cpu":
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmRSS")
    else:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    for _ in range(3):
        step().backward()
    after = _resident("VmHWM") if device == "cpu" else torch.cuda.max_memory_allocated()
    return (after - before) / 2**20


def _resident(name: str) -> int:
    """Bytes in memory now (VmRSS), or at most since the mark was cleared (VmHWM)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


def compare(size: int, repeats: int, device: str) -> None:
    """Print medians, spread, the median of the pairs' quotients, and both sides' memory."""
    steps = sides(size, device)
    for step in steps.values():
        seconds(step, device)
    pairs = []
    for repeat in range(repeats):
        order = list(steps) if repeat % 2 == 0 else list(reversed(steps))
        times = {name: seconds(steps[name], device) for name in order}
        pairs.append((times["ours"], times["mmdet"]))
    for name, taken in zip(steps, zip(*pairs, strict=True), strict=True):
        ordered = sorted(1000 * each for each in taken)
        used = [sys.executable, "-m", "benchmarks.detection_step", "--device", device]
        used += ["--memory", name, "--sizes", str(size)]
        found = subprocess.run(used, check=True, capture_output=True, text=True).stdout
        print(
            f"{size}x{size} {name:6} {statistics.median(ordered):8.1f} ms "
            f"({ordered[0]:.1f} to {ordered[-1]:.1f}), {float(found.split()[-1]):.0f} MiB",
            flush=True,
        )
    quotients = sorted(a / b for a, b in pairs)
    print(
        f"{size}x{size} quotient {statistics.median(quotients):.3f} "
        f"({quotients[0]:.3f} to {quotients[-1]:.3f}), {len(pairs)} pairs of {BATCH} images",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory", choices=["ours", "mmdet"])
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)
    if given.memory:
        print(memory(given.memory, given.sizes[0], given.device))
        return
    for size in given.sizes:
        compare(size, given.repeats, given.device)


if __name__ == "__main__":
    main()
