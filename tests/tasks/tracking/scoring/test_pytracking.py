"""pytracking's convention against its own outputs.

Curves and what comes of them went through float32 there: a sum of n shares, and what is done to it,
is off by n + 3 roundings of 2^-24 of the number at most. Counts and per-frame values are exact.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.tracking.scoring import pytracking
from tasks.tracking.scoring.figures import Scores
from tasks.tracking.scoring.tracks import Track

from .files import REDUCED, WHOLE, Fixture, same, stored

CURVE = 21
OVERALL = {"AUC": "AUC", "OP50": "OP50", "OP75": "OP75", "P": "Precision", "NP": "Norm_Precision"}
EACH = {"AUC": "success_auc", "P": "precision_20", "NP": "normalized_20"}
CURVES = {"success": "success", "precision": "precision", "normalised precision": "normalized"}
WITH_FLAGS = ("lasot", "lasot_extension_subset")
FOLDERS = [
    REDUCED,
    pytest.param(
        WHOLE,
        marks=pytest.mark.skipif(not WHOLE.is_dir(), reason="the whole fixture is not at hand"),
    ),
]


def tracks_of(given: Fixture, names: Any, dataset: str, tracker: str = "float") -> list[Track]:
    prediction = "saved" if tracker == "saved" else "prediction"
    tracks = given.tracks(names, prediction)
    return tracks if dataset in WITH_FLAGS else [_blind(track) for track in tracks]


def _blind(track: Track) -> Track:
    return Track(track.name, track.truth, track.found)


def rounding(count: int) -> float:
    return (count + 3) * 2.0**-24


def test_thresholds() -> None:
    given = stored("pytracking").arrays
    assert (given["thresholds/success"] == pytracking.OVERLAPS).all()
    assert (given["thresholds/center"] == pytracking.PIXELS).all()
    assert (given["thresholds/normalized"] == pytracking.SIZES).all()


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("tracker", ["float", "saved"])
@pytest.mark.parametrize("group", stored("pytracking").expected["groups"])
def test_groups(group: str, tracker: str, folder: Path) -> None:
    given = stored("pytracking", folder)
    expected = given.expected["groups"][group]
    dataset, valid_only = expected["dataset"], group.endswith("valid_frames")
    tracks = tracks_of(given, expected["sequences"], dataset, tracker)
    scores = pytracking.score(tracks, dataset, valid_only)
    _compare_sequences(scores, expected["per_sequence"][tracker], given, f"{group}/{tracker}")
    relative = rounding(len(tracks) + CURVE)
    for ours, theirs in OVERALL.items():
        same(scores.figures[ours].overall(), expected["overall"][tracker][theirs], relative)
    for ours, theirs in CURVES.items():
        curve = given.arrays[f"{group}/{tracker}/{theirs}"]
        same(100 * scores.curves[ours].ratio.overall(), curve, relative)
    every, errors = pytracking.frames(tracks, dataset)
    overlaps = [one["average_overlap"] for one in expected["per_sequence"][tracker].values()]
    same(pytracking.average_overlap(every, errors), overlaps)
    valid = [one["valid"] for one in expected["per_sequence"][tracker].values()]
    assert every.per_sequence(errors.valid).tolist() == valid


def _compare_sequences(scores: Scores, expected: Any, given: Fixture, where: str) -> None:
    for number, (name, figures) in enumerate(expected.items()):
        for curve in scores.curves.values():
            assert curve.frames[number] == figures["frames_divided_by"]
        for ours, theirs in EACH.items():
            same(scores.figures[ours].each()[number], 100 * figures[theirs], rounding(CURVE))
        for ours, theirs in CURVES.items():
            counts = given.arrays.get(f"{where}/{name}/{theirs}_counts")
            if counts is not None:
                assert scores.curves[ours].counts[number].tolist() == counts.tolist()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_frame(folder: Path) -> None:
    given = stored("pytracking", folder)
    compared = 0
    for group, expected in given.expected["groups"].items():
        if group.endswith("valid_frames"):
            continue
        for tracker in ("float", "saved"):
            tracks = tracks_of(given, expected["sequences"], expected["dataset"], tracker)
            every, errors = pytracking.frames(tracks, expected["dataset"])
            for number, name in enumerate(expected["sequences"]):
                stem, mine = f"{group}/{tracker}/{name}", every.owner == number
                if f"{stem}/iou" not in given.arrays:
                    continue
                compared += 1
                same(errors.overlap[mine], given.arrays[f"{stem}/iou"])
                same(errors.centre[mine], given.arrays[f"{stem}/center"])
                same(errors.normalised[mine], given.arrays[f"{stem}/normalized_center"])
                assert (errors.valid[mine] == given.arrays[f"{stem}/valid"]).all()
    assert compared > 100


def test_merged_runs() -> None:
    """Of the stored runs as they are; the reduced arrays hold those of every sequence."""
    given = stored("pytracking", WHOLE if WHOLE.is_dir() else REDUCED)
    expected = given.expected["merged_runs"]
    runs, relative = [], rounding(len(expected["sequences"]) + CURVE + 3)
    for run in range(3):
        truth = {name: given.boxes[f"truth/{name}"] for name in expected["sequences"]}
        tracks = [Track(n, t, given.arrays[f"runs/{run}/{n}"]) for n, t in truth.items()]
        runs.append(pytracking.score(tracks, expected["dataset"]))
        same(runs[-1].figures["AUC"].overall(), expected["auc_per_run"][run], relative)
    merged = pytracking.merged(runs)
    same(merged["AUC"].overall(), expected["AUC"], relative)
    same(merged["P"].overall(), expected["Precision"], relative)


def _case(words: str) -> tuple[list[Track], str]:
    """What a case of `raises` is of."""
    given = stored("pytracking")
    name, _, dataset = words.removesuffix(")").partition(" (")
    if words == "lasot without flags":
        return [_blind(given.track("walk_01"))], "lasot"
    if name in given.sequences:
        return tracks_of(given, [name], dataset), dataset
    if name in ("negative_size", "nan_prediction", "short_prediction", "long_prediction"):
        known = {"negative_size": "negative_pred", "nan_prediction": "nan_pred"}
        return tracks_of(given, [known.get(name, name.replace("iction", ""))], dataset), dataset
    if name == "single_frame":
        return tracks_of(given, ["single"], dataset), dataset
    assert name.startswith("longer prediction")
    track = _blind(given.track("walk_01"))
    surplus = [[1.0, 1, 0, 5]] if "zero size" in name else [[1.0, 1, 5, 5]]
    return [Track("walk_01", track.truth, np.concatenate((track.found, surplus)))], dataset


@pytest.mark.parametrize("words", stored("pytracking").expected["raises"])
def test_what_the_reference_refuses_is_refused(words: str) -> None:
    tracks, dataset = _case(words)
    refused = stored("pytracking").expected["raises"][words] is not None
    # Its reader of text files fails on one line, not its figures: ours has no reader.
    if words == "single_frame (otb)":
        assert refused
        refused = False
    if not refused:
        every, _ = pytracking.frames(tracks, dataset)
        assert len(every.owner) == len(tracks[0].truth)
        return
    with pytest.raises(DataError, match=f"sequence `{tracks[0].name}`"):
        pytracking.frames(tracks, dataset)


def test_refusals_say_why() -> None:
    given = stored("pytracking")
    for name, dataset, words in (
        ("nan_pred", "otb", r"frame \d+ has a NaN or a negative side"),
        ("negative_pred", "otb", r"frame \d+ has a NaN or a negative side"),
        ("nan_truth", "nfs", r"the true box of frame \d+ is not known"),
        ("short_pred", "lasot", "21 boxes for 33 frames"),
    ):
        with pytest.raises(DataError, match=words):
            pytracking.score(given.tracks([name]), dataset)
    with pytest.raises(DataError, match=r"full_occlusion\.txt and out_of_view\.txt"):
        pytracking.score([_blind(given.track("walk_01"))], "lasot")
    with pytest.raises(
        DataError, match=r"`all_nan_truth` has no valid frame .*`measure\.valid_only`"
    ):
        pytracking.score([_blind(given.track("all_nan_truth"))], "uav", valid_only=True)


def test_boxes_without_area_repeat_the_one_before() -> None:
    truth = np.tile([[10.0, 10, 4, 4]], (6, 1))
    truth[3] = np.nan
    found = np.array(
        [[9.0, 9, 3, 3], [0, 0, 0, 1], [8, 8, 2, 0], [7, 7, 0, 0], [1, 1, 1, 1], [0] * 4]
    )
    every, _ = pytracking.frames([Track("a", truth, found)], "uav")
    # The first of a chain is as predicted, though replaced by the truth in the end; where the truth
    # is not known the box stays as it is.
    expected = np.array([truth[0], found[0], found[0], found[3], found[4], found[4]])
    assert (every.found == expected).all()
