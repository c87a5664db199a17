"""How often a target is lost, and when first: the same under every convention.

A frame is looked at where the truth is known and the target can be seen; others are passed over. A
target is lost by a run of at least `LOST_AFTER` such frames without any overlap. VOT counts the
first frame without overlap as a failure, and starts the tracker anew 5 frames later (Kristan et al.
2016); without a restart, as in OTB's one-pass evaluation, a box that misses for a moment may come
back by itself, so a loss is what lasts as long as VOT would wait.
"""

from __future__ import annotations

from collections.abc import Sequence as Listed

import numpy as np

from tasks.tracking.scoring.boxes import Floats, overlap
from tasks.tracking.scoring.figures import Ratio, mean
from tasks.tracking.scoring.tracks import Bools, Frames, Ints, Track, by_block, flags, known, padded

LOST_AFTER = 5


def figures(tracks: Listed[Track]) -> dict[str, Ratio]:
    """Means over sequences: `losses`, their number, and `frames to loss`, how many frames pass
    before the first one begins; the sequence's length where the target is never lost, so that the
    figure is a lower bound of the time that a longer sequence would show."""
    count, first = by_block(_losses, tracks, _missing)
    return {
        "losses": Ratio(count, np.ones(len(tracks)), lower=True),
        "frames to loss": mean(first),
    }


def _losses(tracks: Listed[Track], every: Frames) -> tuple[Floats, Floats]:
    missed = np.nan_to_num(overlap(every.found, every.truth)) == 0
    there = known(every.truth) & (every.truth[:, 2:] > 0).all(axis=1)
    return losses(every, there & flags(tracks, _shown), missed)


def losses(frames: Frames, looked_at: Bools, missed: Bools) -> tuple[Floats, Floats]:
    """(S,) number of losses, and frames before the first; the sequence's length where none is.

    Args:
        frames: all of them.
        looked_at, missed: (F,) of each.
    """
    rows = np.flatnonzero(looked_at)
    begins, lengths = _runs(missed[rows], frames.owner[rows])
    lost = rows[begins[lengths >= LOST_AFTER]]
    owner = frames.owner[lost]
    length = frames.per_sequence()
    first = length.copy()
    place = lost - np.searchsorted(frames.owner, owner)
    np.minimum.at(first, owner, place)
    return np.bincount(owner, minlength=frames.sequences).astype(np.float64), first


def _runs(flags: Bools, owner: Ints) -> tuple[Ints, Ints]:
    """Where runs of flags of one owner begin, and how long they are."""
    before = np.zeros(len(flags), bool)
    before[1:] = flags[:-1] & (owner[1:] == owner[:-1])
    after = np.zeros(len(flags), bool)
    after[:-1] = flags[1:] & (owner[1:] == owner[:-1])
    begins, ends = np.flatnonzero(flags & ~before), np.flatnonzero(flags & ~after)
    return begins, ends - begins + 1


def _shown(track: Track) -> Bools:
    """(T,) whether nothing says that the target cannot be seen."""
    shown = np.ones(len(track.truth), bool) if track.cover is None else track.cover > 0
    if track.absent is not None:
        shown &= ~track.absent
    return shown if track.visible is None else shown & track.visible


def _missing(track: Track) -> Floats:
    """A frame without a box is one without overlap."""
    return padded(track, np.nan)
