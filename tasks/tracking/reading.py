"""Frames of several sequences in lockstep, read while the last ones are worked on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tasks.tracking.sequences import Frames

    Pixels = NDArray[np.uint8]

_THREADS = 4


def lockstep(sequences: Sequence[Frames]) -> Iterator[dict[int, Pixels]]:
    """Yield the first frames, the second ones ...: number of the sequence -> image (H,W,3), for
    those that have so many.

    A few threads read one frame ahead of each sequence, so that two of each are in memory. A
    sequence is read by one thread at a time and in order, different ones at once.

    Raises:
        DataError: naming sequence and frame, where it cannot be read.
    """
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="frames")

    def ask(frame: int) -> dict[int, Future[Pixels]]:
        return {
            number: pool.submit(frames.read, frame)
            for number, frames in enumerate(sequences)
            if frame < len(frames)
        }

    try:
        coming = ask(0)
        frame = 0
        while coming:
            images = {number: future.result() for number, future in coming.items()}
            frame += 1
            coming = ask(frame)
            yield images
    finally:
        pool.shutdown(cancel_futures=True)
