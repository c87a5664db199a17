"""The conventions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Listed

from tasks.tracking.recipe import Convention, Name
from tasks.tracking.scoring import got10k, lasot, otb, pytracking, trackingnet
from tasks.tracking.scoring.figures import Scores
from tasks.tracking.scoring.tracks import Track

PRIMARY: dict[Convention, str] = {
    "got10k": "AO",
    "otb": "AUC",
    "lasot": "AUC",
    "pytracking": "AUC",
    "trackingnet": "success",
}
"""Convention -> the figure that ranks."""

EVALUATORS: dict[Convention, str] = {
    "got10k": "tasks.tracking 1, after got-10k/toolkit's experiments/got10k.py",
    "otb": "tasks.tracking 1, after got-10k/toolkit's experiments/otb.py",
    "lasot": "tasks.tracking 1, after got-10k/toolkit's experiments/lasot.py",
    "pytracking": "tasks.tracking 1, after pytracking's analysis/extract_results.py in float64",
    "trackingnet": "tasks.tracking 1, after TrackingNet-devkit's metrics.py",
}

PYTRACKING: Mapping[str, str] = {
    "otb100": "otb",
    "otb2013": "otb",
    "otb2015": "otb",
    "uav123": "uav",
    "lasot": "lasot",
}
"""Data set -> what pytracking calls it; others are treated as OTB is."""

_SCORES: dict[str, Callable[[Listed[Track]], Scores]] = {
    "got10k": got10k.score,
    "otb": otb.score,
    "lasot": lasot.score,
    "trackingnet": trackingnet.score,
}


def score(
    tracks: Listed[Track], convention: Convention, dataset: Name, valid_only: bool = False
) -> Scores:
    """What a convention says of the sequences of a data set.

    Raises:
        DataError: as the convention's own `score`.
    """
    if convention == "pytracking":
        return pytracking.score(tracks, PYTRACKING.get(dataset, dataset), valid_only)
    return _SCORES[convention](tracks)
