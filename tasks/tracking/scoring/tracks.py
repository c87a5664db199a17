"""What is scored: predicted boxes of sequences beside the true ones."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Listed
from dataclasses import dataclass
from typing import NamedTuple

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


class Frames(NamedTuple):
    """The frames of all sequences, one sequence after the other.

    Attributes:
        truth, found: (F,4).
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


def joined(tracks: Listed[Track], fit: Fit) -> Frames:
    """All frames, with the truth for the prediction of each first one."""
    found = [t.found if len(t.found) == len(t.truth) else fit(t) for t in tracks]
    lengths = np.array([len(f) for f in found], np.int64)
    truth = [t.truth[: len(f)] for t, f in zip(tracks, found, strict=True)]
    nothing = np.zeros((0, 4))
    owner = np.repeat(np.arange(len(tracks)), lengths)
    frames = Frames(
        np.concatenate([nothing, *truth]), np.concatenate([nothing, *found]), owner, len(tracks)
    )
    starts = (np.cumsum(lengths) - lengths)[lengths > 0]
    frames.found[starts] = frames.truth[starts]
    return frames


def summed(owner: Ints, sequences: int, values: Floats | Bools | None = None) -> Floats:
    """(S,) sums of values (F,) over the frames of each sequence, or numbers of frames."""
    return np.bincount(owner, values, sequences).astype(np.float64)


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
