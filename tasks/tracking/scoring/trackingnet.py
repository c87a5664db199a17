"""TrackingNet's figures, as SilvioGiancola/TrackingNet-devkit has them (metrics.py; Müller et al.
2018).

All numbers are rounded to whole ones first, halves to even. Surplus boxes are dropped, missing ones
are NaN; the first is replaced by the true one and counts. An overlap passes a threshold that it
reaches, so an overlap of 0 passes 0, but one that is NaN (both boxes empty, or a number missing)
passes none. A NaN in one coordinate alone leaves the other box's edge in its place, as pandas skips
it. Curves are averaged over sequences; a score is the area below.
"""

from __future__ import annotations

from collections.abc import Sequence as Listed
from typing import NamedTuple

import numpy as np

from tasks.tracking.scoring.boxes import Floats
from tasks.tracking.scoring.counting import passing
from tasks.tracking.scoring.figures import Curve, Ratio, Scores, per_cent
from tasks.tracking.scoring.tracks import Frames, Track, joined, padded

OVERLAPS: Floats = np.linspace(0, 1, 21)
PIXELS: Floats = np.linspace(0, 50, 21)
SIZES: Floats = np.linspace(0, 0.5, 21)


class Errors(NamedTuple):
    """(F,) overlap in [0,1], distance of the centres in pixels, the same in sizes of the true box;
    NaN where there is none."""

    overlap: Floats
    centre: Floats
    normalised: Floats


def frames(tracks: Listed[Track]) -> tuple[Frames, Errors]:
    """All frames in whole numbers, and what is said of each."""
    given = joined(tracks, _unknown)
    every = Frames(np.round(given.truth), np.round(given.found), given.owner, given.sequences)
    (x, y, w, h), (u, v, s, t) = every.found.T, every.truth.T
    inter = _common(x, w, u, s) * _common(y, h, v, t)
    across, down = u + (s + 1) / 2 - (x + (w + 1) / 2), v + (t + 1) / 2 - (y + (h + 1) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        overlap = inter / (t * s + h * w - inter)
        normalised = np.sqrt(across / s * across / s + down / t * down / t)
    return every, Errors(overlap, np.sqrt(across * across + down * down), normalised)


def score(tracks: Listed[Track]) -> Scores:
    """`success`, `precision` and `normalized precision`: areas below the curves of overlaps that
    reach 0 to 1, of centre errors up to 0 to 50 pixels, and of normalised ones up to 0 to 0.5,
    each of 21 points; `coverage`, the share of all frames whose predicted numbers have a sum above
    0. In per cent."""
    every, errors = frames(tracks)
    number, owner, count = every.per_sequence(), every.owner, every.sequences
    curves = {
        "success": Curve(OVERLAPS, passing(errors.overlap, ">=", OVERLAPS, owner, count), number),
        "precision": Curve(PIXELS, passing(errors.centre, "<=", PIXELS, owner, count), number),
        "normalised precision": Curve(
            SIZES, passing(errors.normalised, "<=", SIZES, owner, count), number
        ),
    }
    figures = {
        "success": curves["success"].area(),
        "precision": curves["precision"].area(),
        "normalized precision": curves["normalised precision"].area(),
        "coverage": Ratio(every.per_sequence(every.found.sum(axis=1) > 0), number),
    }
    return Scores({name: per_cent(figure) for name, figure in figures.items()}, curves)


def _unknown(track: Track) -> Floats:
    return padded(track, np.nan)


def _common(x: Floats, width: Floats, u: Floats, size: Floats) -> Floats:
    """(F,) length of what two intervals share."""
    shared: Floats = np.fmin(x + width - 1, u + size - 1) - np.fmax(x, u) + 1
    return np.maximum(shared, 0)
