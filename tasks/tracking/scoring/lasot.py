"""LaSOT's figures, as got-10k/toolkit has them (got10k/experiments/lasot.py; Fan et al. 2019).

As OTB's (`otb`), but frames whose truth has a NaN do not count, and there is a normalised
precision. Full occlusion and absence are not looked at. A sequence without a frame that counts has
no figures, and then the whole has none.
"""

from __future__ import annotations

from collections.abc import Sequence as Listed

import numpy as np

from tasks.tracking.scoring import otb
from tasks.tracking.scoring.boxes import Floats, normalised_error
from tasks.tracking.scoring.counting import passing
from tasks.tracking.scoring.figures import Curve, Scores
from tasks.tracking.scoring.tracks import Frames, Ints, Track, by_block, cut, joined, known

SIZES: Floats = np.linspace(0, 0.5, 51)


def frames(tracks: Listed[Track]) -> Frames:
    """The frames that count."""
    return _known(joined(tracks, cut))


def score(tracks: Listed[Track]) -> Scores:
    """`AUC`, `P` and `SR.5` as `otb`, and `NP`, the mean of the 51 shares of normalised errors up
    to 0, 0.01 ... 0.5; in [0,1], NaN where a sequence has no frame that counts."""
    overlaps, errors, normed, number = by_block(_counts, tracks, cut)
    found, normalised = otb.scores(overlaps, errors, number), Curve(SIZES, normed, number)
    return Scores(
        found.figures | {"NP": normalised.height()},
        found.curves | {"normalised precision": normalised},
    )


def _counts(_: Listed[Track], every: Frames) -> tuple[Ints, Ints, Ints, Floats]:
    counted = _known(every)
    overlaps, errors, number = otb.counts(counted)
    normalised = normalised_error(counted.found, counted.truth)
    passed = passing(normalised, "<=", SIZES, counted.owner, counted.sequences)
    return overlaps, errors, passed, number


def _known(every: Frames) -> Frames:
    return every.take(known(every.truth))
