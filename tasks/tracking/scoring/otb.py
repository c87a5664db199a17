"""OTB's figures, as got-10k/toolkit has them (got10k/experiments/otb.py; Wu et al. 2013, 2015).

Prediction and truth are cut to the shorter. The first predicted box is replaced by the true one and
counts. A frame whose truth or prediction has a NaN is a miss. Shares are averaged over sequences.
"""

from __future__ import annotations

from collections.abc import Sequence as Listed

import numpy as np

from tasks.tracking.scoring.boxes import Floats, centre_error, overlap
from tasks.tracking.scoring.counting import passing
from tasks.tracking.scoring.figures import Curve, Scores
from tasks.tracking.scoring.tracks import Frames, Ints, Track, by_block, cut

OVERLAPS: Floats = np.linspace(0, 1, 21)
PIXELS: Floats = np.arange(51.0)


def score(tracks: Listed[Track]) -> Scores:
    """`AUC`, the mean of the success curve's 21 shares (overlap above the threshold, so 20/21 at
    most), `P`, the share of centre errors up to 20 pixels, `SR.5`, the share of overlaps above 0.5;
    in [0,1]."""
    return scores(*by_block(lambda _, frames: counts(frames), tracks, cut))


def counts(frames: Frames) -> tuple[Ints, Ints, Floats]:
    """Of frames that count, how many of each sequence pass each of `OVERLAPS` and of `PIXELS`
    (S,K), and how many there are (S,)."""
    overlaps = overlap(frames.found, frames.truth)
    errors = centre_error(frames.found, frames.truth)
    owner, sequences = frames.owner, frames.sequences
    return (
        passing(overlaps, ">", OVERLAPS, owner, sequences),
        passing(errors, "<=", PIXELS, owner, sequences),
        frames.per_sequence(),
    )


def scores(overlaps: Ints, errors: Ints, number: Floats) -> Scores:
    """The figures of `counts`."""
    success, precision = Curve(OVERLAPS, overlaps, number), Curve(PIXELS, errors, number)
    return Scores(
        {"AUC": success.height(), "P": precision.value(20), "SR.5": success.value(10)},
        {"success": success, "precision": precision},
    )
