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
from tasks.tracking.scoring.boxes import Floats, bounded, overlap
from tasks.tracking.scoring.counting import passing
from tasks.tracking.scoring.figures import Curve, Ratio, Scores
from tasks.tracking.scoring.tracks import Bools, Frames, Track, flags, joined, known, refuse_length

THRESHOLDS: Floats = np.linspace(0, 1, 101)


def frames(tracks: Listed[Track]) -> tuple[Frames, Floats]:
    """The frames that count, and their overlap (F,) in [0,1]; NaN where a box has one.

    Raises:
        DataError: more or fewer boxes than frames.
    """
    every = joined(tracks, refuse_length, first=False)
    counted = every.take(flags(tracks, _seen))
    extents = np.array([_extent(track) for track in tracks], np.float64).reshape(-1, 2)
    extent = extents[counted.owner]
    return counted, overlap(bounded(counted.found, extent), bounded(counted.truth, extent))


def score(tracks: Listed[Track]) -> Scores:
    """`AO` mean overlap, `SR.5` and `SR.75` the shares of frames whose overlap is above, in [0,1];
    a NaN in a prediction makes the AO one, and is a miss in the shares.

    Raises:
        DataError: more or fewer boxes than frames; the images' size is not known.
    """
    counted, overlaps = frames(tracks)
    number = counted.per_sequence()
    counts = passing(overlaps, ">", THRESHOLDS, counted.owner, counted.sequences)
    success = Curve(THRESHOLDS, counts, number, pooled=True)
    figures = {
        "AO": Ratio(counted.per_sequence(overlaps), number),
        "SR.5": success.value(50),
        "SR.75": success.value(75),
    }
    return Scores(figures, {"success": success})


def _seen(track: Track) -> Bools:
    if track.cover is not None:
        return track.cover[1:] > 0
    there = known(track.truth[1:])
    return there if track.absent is None else there & ~track.absent[1:]


def _extent(track: Track) -> tuple[int, int]:
    if track.extent is None:
        raise DataError(f"{track.label}: the size of its images is needed, and not known")
    return track.extent
