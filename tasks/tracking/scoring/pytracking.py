"""Figures as visionml/pytracking has them (pytracking/analysis: extract_results.py and
plot_results.py), here in float64 where its curves are float32.

In this order: a NaN or a negative side in a prediction is refused; a box without area repeats the
one before; a prediction that is too long is cut, one that is too short filled up with zeros, on
LaSOT refused; the first box is replaced by the true one and counts. A frame is valid where all four
true numbers are above 0, and the target is visible where that is said. An invalid one has an
overlap of -1, an infinite centre error (on UAV123 one of -1, which passes every threshold) and a
normalised error of -1, which passes too. On LaSOT, not on its extension, both errors of frames that
are not visible are infinite.
"""

from __future__ import annotations

from collections.abc import Sequence as Listed
from typing import NamedTuple

import numpy as np

from tasks.contract import DataError
from tasks.tracking.scoring.boxes import Floats
from tasks.tracking.scoring.counting import passing
from tasks.tracking.scoring.figures import Curve, Ratio, Scores, mean, per_cent
from tasks.tracking.scoring.tracks import (
    Bools,
    Frames,
    Track,
    flags,
    joined,
    known,
    padded,
    refuse_length,
)

OVERLAPS: Floats = np.linspace(0, 1, 21)
# As torch.arange makes them, with which the reference does.
OVERLAPS[[13, 15]] = np.nextafter(OVERLAPS[[13, 15]], 1)
PIXELS: Floats = np.arange(51.0)
SIZES: Floats = np.arange(51.0) / 100


class Errors(NamedTuple):
    """Of F frames.

    Attributes:
        overlap: (F,) IoU in [0,1], -1 where it is not valid.
        centre: (F,) in pixels.
        normalised: (F,) in sizes of the true box.
        valid: (F,).
    """

    overlap: Floats
    centre: Floats
    normalised: Floats
    valid: Bools


def frames(tracks: Listed[Track], dataset: str) -> tuple[Frames, Errors]:
    """All frames, and what is said of each.

    Args:
        tracks: the sequences.
        dataset: `otb`, `nfs`, `uav`, `lasot`, `lasot_extension_subset`, or another, which is as the
            first two are.

    Raises:
        DataError: predictions or truth that the reference does not take, by sequence and frame.
    """
    tracks = [_checked(track, dataset) for track in tracks]
    fit = refuse_length if dataset == "lasot" else _zeros
    every = joined([_fitted(track) for track in tracks], fit)
    visible = flags(tracks, _visible)
    valid = (every.truth > 0).all(axis=1) & visible
    with np.errstate(invalid="ignore", divide="ignore"):
        overlap = _overlap(every.found, every.truth)
        centre = _distance(_centres(every.found), _centres(every.truth))
        size = every.truth[:, 2:]
        normalised = _distance(_centres(every.found) / size, _centres(every.truth) / size)
    overlap[~valid] = -1
    centre[~valid] = -1 if dataset == "uav" else np.inf
    normalised[~valid] = -1
    if dataset == "lasot":
        centre[~visible] = np.inf
        normalised[~visible] = np.inf
    if np.isnan(overlap).any():
        track = tracks[int(every.owner[np.isnan(overlap)][0])]
        raise DataError(f"{track.label}: an infinite box has no overlap")
    return every, Errors(overlap, centre, normalised, valid)


def score(tracks: Listed[Track], dataset: str, valid_only: bool = False) -> Scores:
    """`AUC`, the mean of the success curve (overlap above the threshold), `OP50` and `OP75`, its
    values at 0.50 and 0.75, `P`, the share of centre errors up to 20 pixels, `NP`, of normalised
    errors up to 0.20; in per cent, as the reference prints them.

    Args:
        tracks, dataset: as `frames`.
        valid_only: divide by the number of valid frames (`exclude_invalid_frames`). Invalid ones
            stay in the numerator, so that errors of -1 give shares above 100 %.

    Raises:
        DataError: as `frames`; a sequence has no valid frame to divide by.
    """
    every, errors = frames(tracks, dataset)
    number = every.per_sequence(errors.valid if valid_only else None)
    if (number == 0).any():
        track = tracks[int(np.argmin(number))]
        raise DataError(
            f"{track.label} has no valid frame to divide by: leave it out, or `measure.valid_only`"
        )
    owner, count = every.owner, every.sequences
    success = Curve(OVERLAPS, passing(errors.overlap, ">", OVERLAPS, owner, count), number)
    precision = Curve(PIXELS, passing(errors.centre, "<=", PIXELS, owner, count), number)
    normalised = Curve(SIZES, passing(errors.normalised, "<=", SIZES, owner, count), number)
    figures = {
        "AUC": success.height(),
        "OP50": success.value(10),
        "OP75": success.value(15),
        "P": precision.value(20),
        "NP": normalised.value(20),
    }
    return Scores(
        {name: per_cent(figure) for name, figure in figures.items()},
        {"success": success, "precision": precision, "normalised precision": normalised},
    )


def average_overlap(every: Frames, errors: Errors) -> Floats:
    """(S,) mean overlap of each sequence's valid frames; NaN where it has none."""
    total = every.per_sequence(np.where(errors.valid, errors.overlap, 0))
    return Ratio(total, every.per_sequence(errors.valid)).each()


def merged(runs: Listed[Scores]) -> dict[str, Ratio]:
    """The figures of several runs on the same sequences: the mean of each sequence's
    (`merge_multiple_runs`)."""
    return {
        name: mean(np.mean([run.figures[name].each() for run in runs], axis=0))
        for name in runs[0].figures
    }


def _checked(track: Track, dataset: str) -> Track:
    wrong = ~known(track.found) | (track.found[:, 2:] < 0).any(axis=1)
    if wrong.any():
        raise DataError(
            f"{track.label}: the box predicted for frame {int(wrong.argmax()) + 1} has a NaN or a "
            "negative side, which this convention does not take"
        )
    unknown = ~known(track.truth)
    if dataset != "uav" and unknown.any():
        raise DataError(
            f"{track.label}: the true box of frame {int(unknown.argmax()) + 1} is not known, which "
            "this convention takes on UAV123 alone; set `measure.convention` to `got10k` or `lasot`"
        )
    if dataset == "lasot" and track.visible is None:
        raise DataError(
            f"{track.label}: nothing says in which frames the target is visible, which this "
            "convention needs on LaSOT: give full_occlusion.txt and out_of_view.txt"
        )
    return track


def _fitted(track: Track) -> Track:
    """Boxes without area replaced, and too many cut."""
    found, length = track.found, len(track.truth)
    empty = (found[:, 2:] == 0).any(axis=1)
    if empty.any():
        beyond = np.flatnonzero(empty[length:])
        if len(beyond):
            raise DataError(
                f"{track.label}: box {length + int(beyond[0]) + 1}, beyond its {length} frames, "
                "has no area, on which the reference fails: leave surplus boxes out"
            )
        found = found[:length]
        empty = empty[:length] & known(track.truth[: len(found)])
        empty[0] = False
        source = np.where(empty, 0, np.arange(len(found)))
        found = found[np.maximum.accumulate(source)]
    return Track(track.name, track.truth, found[:length])


def _zeros(track: Track) -> Floats:
    return padded(track, 0)


def _visible(track: Track) -> Bools:
    return np.ones(len(track.truth), bool) if track.visible is None else track.visible


def _overlap(found: Floats, truth: Floats) -> Floats:
    # The 1 that is taken off and put back decides the last bit, and so exact ties.
    low = np.maximum(found[:, :2], truth[:, :2])
    high = np.minimum(found[:, :2] + found[:, 2:] - 1, truth[:, :2] + truth[:, 2:] - 1)
    inter = np.maximum(high - low + 1, 0).prod(axis=1)
    values: Floats = inter / (found[:, 2:].prod(axis=1) + truth[:, 2:].prod(axis=1) - inter)
    return values


def _centres(boxes: Floats) -> Floats:
    return boxes[:, :2] + 0.5 * (boxes[:, 2:] - 1)


def _distance(a: Floats, b: Floats) -> Floats:
    # Both are divided by the size before this, not after it: the last bit again.
    across, down = a[:, 0] - b[:, 0], a[:, 1] - b[:, 1]
    return np.sqrt(across * across + down * down)
