"""Two ways of one thing, timed in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def pair(
    name: str,
    one: Callable[[], object],
    other: Callable[[], object],
    repeats: int,
    device: str,
) -> None:
    """Run both in turn and print the medians and the median of the ratios, with their range."""
    one(), other()
    times: dict[bool, list[float]] = {True: [], False: []}
    for repeat in range(repeats):
        for first in (repeat % 2 == 0, repeat % 2 == 1):
            began = time.perf_counter()
            (one if first else other)()
            if device == "cuda":
                torch.cuda.synchronize()
            times[first].append(time.perf_counter() - began)
    ratios = sorted(a / b for a, b in zip(times[True], times[False], strict=True))
    print(
        f"{name}: {statistics.median(times[True]):.3f} s against "
        f"{statistics.median(times[False]):.3f} s: {statistics.median(ratios):.2f}x "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )
