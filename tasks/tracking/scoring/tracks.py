"""What is scored: predicted boxes of sequences beside the true ones."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Listed
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataError
from tasks.names import printable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Track:
    """One sequence of T frames, and the P boxes that a tracker gave for it.

    Attributes:
        name: of the sequence, for messages.
        truth: (T,4) x, y, width, height in pixels; NaN where nothing is known.
        found: (P,4) likewise, P > 0; the first is that of the first frame.
        extent: width and height of the images; only GOT-10k's convention needs it.
        absent, cover, visible: (T,) as in `tasks.tracking.sequences.Sequence`, or None.
    """

    name: str
    truth: Floats
    found: Floats
    extent: tuple[int, int] | None = None
    absent: Bools | None = None
    cover: Ints | None = None
    visible: Bools | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"sequence `{printable(self.name)}`"


_BLOCK = 16384


class Frames(NamedTuple):
    """The frames of all sequences, one sequence after the other.

    Attributes:
        truth, found: (F,4), column by column in memory where `joined` made them.
        owner: (F,) number of the sequence, rising.
        sequences: S, how many there are.
    """

    truth: Floats
    found: Floats
    owner: Ints
    sequences: int

    def take(self, kept: Bools) -> Frames:
        """The frames that are kept, of as many sequences."""
        if kept.all():
            return self
        return Frames(self.truth[kept], self.found[kept], self.owner[kept], self.sequences)

    def per_sequence(self, values: Floats | Bools | None = None) -> Floats:
        """(S,) sums of values (F,), or numbers of frames."""
        return summed(self.owner, self.sequences, values)


Fit = Callable[[Track], Floats]
"""Predicted boxes as many as true ones, or fewer, and then the rest does not count."""


def joined(tracks: Listed[Track], fit: Fit, space: Floats | None = None) -> Frames:
    """All frames, with the truth for the prediction of each first one.

    Args:
        tracks: the sequences.
        fit: for those whose prediction has another length.
        space: (2,4,N) that the frames' boxes are written to; None makes it.
    """
    found = [t.found if len(t.found) == len(t.truth) else fit(t) for t in tracks]
    lengths = np.array([len(f) for f in found], np.int64)
    truth = [t.truth[: len(f)] for t, f in zip(tracks, found, strict=True)]
    owner = np.repeat(np.arange(len(tracks)), lengths)
    boxes = np.empty((2, 4, len(owner))) if space is None else space[:, :, : len(owner)]
    for columns, each in zip(boxes, (truth, found), strict=True):
        np.concatenate([np.zeros((4, 0)), *(x.T for x in each)], axis=1, out=columns)
    frames = Frames(boxes[0].T, boxes[1].T, owner, len(tracks))
    starts = (np.cumsum(lengths) - lengths)[lengths > 0]
    frames.found[starts] = frames.truth[starts]
    return frames


Count = Callable[[Listed[Track], Frames], tuple[NDArray[Any], ...]]
"""Arrays (S,...) of S sequences, whose frames may be written over."""


def by_block(count: Count, tracks: Listed[Track], fit: Fit) -> list[NDArray[Any]]:
    """What `count` gives for all sequences, asked for some thousand frames at a time: those stay in
    the processor's cache, and their memory is that of the ones before."""
    starts, frames = [0], [0]
    for number, track in enumerate(tracks):
        if frames[-1] and frames[-1] + len(track.truth) > _BLOCK:
            starts.append(number)
            frames.append(0)
        frames[-1] += len(track.truth)
    space = np.empty((2, 4, max(frames)))
    blocks = [tracks[start:stop] for start, stop in pairwise([*starts, len(tracks)])]
    counts = [count(block, joined(block, fit, space)) for block in blocks]
    return [np.concatenate(each) for each in zip(*counts, strict=True)]


def summed(owner: Ints, sequences: int, values: Floats | Bools | None = None) -> Floats:
    """(S,) sums of values (F,) over the frames of each sequence, or numbers of frames."""
    edges = np.searchsorted(owner, np.arange(sequences + 1))
    lengths = np.diff(edges)
    if values is None:
        return lengths.astype(np.float64)
    sums, filled = np.zeros(sequences), lengths > 0
    sums[filled] = np.add.reduceat(values, edges[:-1][filled], dtype=np.float64)
    return sums


def flags(tracks: Listed[Track], of: Callable[[Track], Bools]) -> Bools:
    """(F,) what is said of each sequence's frames, one sequence after the other."""
    return np.concatenate([np.zeros(0, bool), *[of(track) for track in tracks]])


def known(boxes: Floats) -> Bools:
    """(F,) whether all four numbers of a box are numbers."""
    return np.array(~np.isnan(boxes).any(axis=1))


def refuse_length(track: Track) -> Floats:
    """Raise DataError for a prediction that is shorter or longer than its sequence."""
    raise DataError(
        f"{track.label}: {len(track.found)} boxes for {len(track.truth)} frames; this convention "
        "takes as many as there are frames"
    )


def cut(track: Track) -> Floats:
    """The shorter of both, as got-10k/toolkit has it: of a short prediction the rest of the
    sequence does not count."""
    return track.found[: len(track.truth)]


def padded(track: Track, value: float) -> Floats:
    """As many boxes as frames, of four times `value` where there are too few."""
    found = np.full(track.truth.shape, value, np.float64)
    given = track.found[: len(found)]
    found[: len(given)] = given
    return found
