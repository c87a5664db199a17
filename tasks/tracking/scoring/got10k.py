"""GOT-10k's figures, as got-10k/toolkit has them (got10k/experiments/got10k.py; Huang et al. 2019).

The first frame does not count, nor a frame in which nothing of the target is seen (cover 0);
whether it is marked absent does not matter. Boxes are brought into the image first. The frames of
all sequences are pooled, so that a long one weighs more. A prediction has as many boxes as frames.

Beyond the toolkit, which needs cover.label: a sequence without one counts the frames whose box is
known, of a target that nothing marks as absent.
"""

from __future__ import annotations

from collections.abc import Sequence as Listed

import numpy as np

from tasks.contract import DataError
from tasks.tracking.scoring.boxes import Floats, bring_inside, overlap
from tasks.tracking.scoring.counting import passing
from tasks.tracking.scoring.figures import Curve, Ratio, Scores
from tasks.tracking.scoring.tracks import (
    Frames,
    Ints,
    Track,
    by_block,
    joined,
    known,
    refuse_length,
    summed,
)

THRESHOLDS: Floats = np.linspace(0, 1, 101)


def frames(tracks: Listed[Track]) -> tuple[Ints, Floats]:
    """Of the frames that count the sequence's number and the overlap (F,) in [0,1], NaN where a
    box has one.

    Raises:
        DataError: more or fewer boxes than frames; the images' size is not known.
    """
    return _counted(tracks, joined(tracks, refuse_length))


def _counted(tracks: Listed[Track], every: Frames) -> tuple[Ints, Floats]:
    extents = np.array([_extent(track) for track in tracks], np.float64).reshape(-1, 2)
    extent = extents.T.take(every.owner, axis=1).T
    bring_inside(every.found, extent)
    bring_inside(every.truth, extent)
    overlaps = overlap(every.found, every.truth)
    counted = np.concatenate([np.zeros(0, np.int64), *map(_cover, tracks)]) > 0
    counted[:1] = False
    counted[1:] &= every.owner[1:] == every.owner[:-1]
    return every.owner[counted], overlaps[counted]


def score(tracks: Listed[Track]) -> Scores:
    """`AO` mean overlap, `SR.5` and `SR.75` the shares of frames whose overlap is above, in [0,1];
    a NaN in a prediction makes the AO one, and is a miss in the shares.

    Raises:
        DataError: as `frames`.
    """
    counts, total, number = by_block(_counts, tracks, refuse_length)
    success = Curve(THRESHOLDS, counts, number, pooled=True)
    figures = {
        "AO": Ratio(total, number),
        "SR.5": success.value(50),
        "SR.75": success.value(75),
    }
    return Scores(figures, {"success": success})


def _counts(tracks: Listed[Track], every: Frames) -> tuple[Ints, Floats, Floats]:
    """How many frames of each sequence pass each threshold (S,K), the sum of their overlaps, and
    how many there are (S,)."""
    owner, overlaps = _counted(tracks, every)
    counts = passing(overlaps, ">", THRESHOLDS, owner, len(tracks))
    return counts, summed(owner, len(tracks), overlaps), summed(owner, len(tracks))


def _cover(track: Track) -> Ints:
    """(T,) above 0 where a frame counts, the first one left aside."""
    if track.cover is not None:
        return track.cover
    there = known(track.truth)
    return (there if track.absent is None else there & ~track.absent).astype(np.int64)


def _extent(track: Track) -> tuple[int, int]:
    if track.extent is None:
        raise DataError(f"{track.label}: the size of its images is needed, and not known")
    return track.extent
