"""TrackingNet's convention against the devkit's own outputs."""

from pathlib import PurePosixPath

import numpy as np
import pytest

from tasks.tracking.scoring import trackingnet
from tasks.tracking.scoring.figures import Scores
from tasks.tracking.scoring.tracks import Track

from .files import same, stored

GIVEN = stored("trackingnet")
NAMES = {
    "success": "success",
    "precision": "precision",
    "normalized precision": "normalized_precision",
    "coverage": "coverage",
}
CURVES = {
    "success": "success",
    "precision": "precision",
    "normalised precision": "normalized_precision",
}


def test_thresholds() -> None:
    ours = (trackingnet.OVERLAPS, trackingnet.PIXELS, trackingnet.SIZES)
    for name, found in zip(CURVES.values(), ours, strict=True):
        assert (GIVEN.arrays[f"thresholds/{name}"] == found).all()


def test_every_sequence() -> None:
    names = list(GIVEN.expected["per_sequence"])
    assert names == list(GIVEN.sequences)
    scores = trackingnet.score(GIVEN.tracks(names))
    for number, name in enumerate(names):
        for ours, theirs in NAMES.items():
            expected = GIVEN.expected["per_sequence"][name][theirs]
            same(scores.figures[ours].each()[number], expected)
        for ours, theirs in CURVES.items():
            curve, shares = scores.curves[ours], GIVEN.arrays[f"{theirs}/{name}"]
            same(curve.shares()[number], shares)
            assert (curve.counts[number] == np.round(shares * curve.frames[number])).all()


@pytest.mark.parametrize("group", GIVEN.expected["groups"])
def test_groups(group: str) -> None:
    expected = GIVEN.expected["groups"][group]
    tracks = [_submitted(file, expected["prediction_files"]) for file in expected["truth_files"]]
    scores = trackingnet.score(tracks)
    _compare(scores, expected["overall"], group)


def _compare(scores: Scores, expected: dict[str, float], group: str) -> None:
    for ours, theirs in NAMES.items():
        same(scores.figures[ours].overall(), expected[theirs])
    for ours, theirs in CURVES.items():
        same(scores.curves[ours].ratio.overall(), GIVEN.arrays[f"{theirs}/group/{group}"])


def _submitted(truth: str, files: list[str]) -> Track:
    """The devkit looks for a file's name in all paths; where none or several have it, it takes
    zeros."""
    named = PurePosixPath(truth).name
    stem = {"seq": "walk_01", "aseq": "walk_02"}.get(named.removesuffix(".txt"))
    track = GIVEN.track(stem or named.removesuffix(".txt"))
    if sum(named in file for file in files) == 1:
        return track
    return Track(track.name, track.truth, np.zeros_like(track.truth))
