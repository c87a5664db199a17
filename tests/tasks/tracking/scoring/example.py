"""What the conventions say of the same boxes: the table of docs/tracking_conventions.md.

Run: python -m tests.tasks.tracking.scoring.example
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataError
from tasks.tracking.recipe import Convention
from tasks.tracking.scoring.conventions import PRIMARY, score
from tasks.tracking.scoring.tracks import Track

Floats = NDArray[np.float64]
CONVENTIONS: list[Convention] = ["got10k", "otb", "lasot", "pytracking", "trackingnet"]
IMAGE = (160, 90)
IN_SHARES = ("got10k", "otb", "lasot")


def plain() -> list[Track]:
    """Two targets of 20x10 pixels, 10 and 40 frames long; the boxes are 2 pixels too far right, in
    the first sequence, and 8 in the second."""
    tracks = []
    for name, length, shift in (("short", 10, 2.0), ("long", 40, 8.0)):
        truth = np.tile([40.0, 30, 20, 10], (length, 1))
        truth[:, 0] += np.arange(length)
        found = truth + np.array([shift, 0, 0, 0])
        cover, visible = np.full(length, 8), np.ones(length, bool)
        tracks.append(Track(name, truth, found, IMAGE, None, cover, visible))
    return tracks


def changed(change: Callable[[Track], Track]) -> list[Track]:
    """The same with its second sequence changed."""
    short, long = plain()
    return [short, change(long)]


def hidden(track: Track) -> Track:
    seen = np.arange(40) < 30
    found = np.where(seen[:, None], track.found, [[1.0, 60, 20, 10]])
    return replace(track, cover=np.where(seen, 8, 0), visible=seen, found=found)


def unknown(track: Track) -> Track:
    """As microworld and VOT have it: no box where the target is hidden."""
    seen = np.arange(40) < 30
    truth: Floats = np.where(seen[:, None], track.truth, np.nan)
    return replace(track, truth=truth, cover=np.where(seen, 8, 0), visible=seen)


def at_the_edge(track: Track) -> Track:
    """The target leaves the image at the left by 12 pixels; the boxes stop at the edge."""
    truth = np.tile([-12.0, 30, 20, 10], (40, 1))
    truth[0, 0] = 1
    return replace(track, truth=truth, found=np.maximum(truth, 0))


def halves(track: Track) -> Track:
    return replace(track, found=track.found + 0.5)


def without_area(track: Track) -> Track:
    """A tracker that writes zeros when it has lost the target."""
    found = track.found.copy()
    found[20:] = 0
    return replace(track, found=found)


def ended(track: Track) -> Track:
    return replace(track, found=track.found[:30])


def wrong_start(track: Track) -> Track:
    found = track.found.copy()
    found[0] += 60
    return replace(track, found=found)


CASES: dict[str, list[Track]] = {
    "as they are": plain(),
    "another first box": changed(wrong_start),
    "last 10 frames hidden, boxes elsewhere": changed(hidden),
    "last 10 frames hidden, true boxes NaN": changed(unknown),
    "target leaves the image by 12 pixels": changed(at_the_edge),
    "all predicted numbers 0.5 more": changed(halves),
    "last 20 predicted boxes all 0": changed(without_area),
    "last 10 predicted boxes missing": changed(ended),
    "leaves the image, then true boxes NaN": changed(lambda track: unknown(at_the_edge(track))),
}


def figure(tracks: list[Track], convention: Convention) -> str:
    """The primary figure, in per cent; of pytracking as it scores UAV123, where nothing says when
    the target is visible."""
    if convention == "pytracking":
        tracks = [replace(track, visible=None) for track in tracks]
    try:
        found = score(tracks, convention, "uav123").figures[PRIMARY[convention]].overall()
    except DataError:
        return "refused"
    return f"{found * (100 if convention in IN_SHARES else 1):.2f}"


def table() -> list[str]:
    """Lines of a table."""
    heads = [f"`{name}` {PRIMARY[name]}" for name in CONVENTIONS]
    lines = ["| boxes | " + " | ".join(heads) + " |", "|" + " --- |" * (len(heads) + 1)]
    for words, tracks in CASES.items():
        figures = [figure(tracks, convention) for convention in CONVENTIONS]
        lines.append(f"| {words} | " + " | ".join(figures) + " |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
