"""The conventions by their definitions, frame by frame in plain Python, and sequences to try."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import hypot, isnan
from operator import ge, lt

import numpy as np
from numpy.typing import NDArray

from tasks.tracking.scoring.tracks import Track

Box = list[float]
Floats = NDArray[np.float64]


def sequences(rng: np.random.Generator, count: int = 12) -> list[Track]:
    """Targets that wander, lose and find their boxes; some hidden, empty or unknown ones, and
    sequences of one and two frames."""
    tracks = []
    for number in range(count):
        length = int(rng.integers(5, 40)) if number > 1 else number + 1
        truth = np.cumsum(rng.normal(0, 3, (length, 4)), 0) + np.array([60, 50, 30, 25])
        found = truth + np.cumsum(rng.normal(0, 4, (length, 4)), 0)
        found[:, 2:] = np.maximum(found[:, 2:], 0)
        truth[:, 2:] = np.maximum(truth[:, 2:], 0)
        found[1:][rng.random(length - 1) < 0.1] += 500
        cover = rng.integers(0, 9, length)
        tracks.append(Track(f"s{number}", truth, found, (120, 100), None, cover, cover > 2))
    return tracks


def overlap(a: Box, b: Box) -> float:
    if any(isnan(value) for value in (*a, *b)):
        return float("nan")
    wide = max(0.0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    union = a[2] * a[3] + b[2] * b[3] - wide * high
    return min(max(wide * high / (union + 2.0**-52), 0.0), 1.0)


def inside(box: Box, extent: tuple[int, int]) -> Box:
    x, y = min(max(box[0], 0), extent[0]), min(max(box[1], 0), extent[1])
    return [x, y, min(max(box[2], 0), extent[0] - x), min(max(box[3], 0), extent[1] - y)]


def shift(a: Box, b: Box) -> tuple[float, float]:
    # Centres before their difference: equal boxes have a shift of exactly 0.
    return (
        (a[0] + (a[2] - 1) / 2) - (b[0] + (b[2] - 1) / 2),
        (a[1] + (a[3] - 1) / 2) - (b[1] + (b[3] - 1) / 2),
    )


def share(values: list[float], passes: Callable[[float], bool]) -> float:
    return sum(map(passes, values)) / len(values)


def got10k(tracks: list[Track]) -> dict[str, float]:
    pooled = []
    for track in tracks:
        assert track.extent is not None and track.cover is not None
        pairs = zip(track.found.tolist(), track.truth.tolist(), track.cover.tolist(), strict=True)
        for a, b, cover in list(pairs)[1:]:
            if cover > 0:
                pooled.append(overlap(inside(a, track.extent), inside(b, track.extent)))
    return {
        "AO": sum(pooled) / len(pooled),
        "SR.5": share(pooled, lambda v: v > 0.5),
        "SR.75": share(pooled, lambda v: v > 0.75),
    }


def toolkit(tracks: list[Track], lasot: bool) -> dict[str, float]:
    """OTB's and LaSOT's figures of got-10k/toolkit."""
    each: list[dict[str, float]] = []
    for track in tracks:
        truth = track.truth.tolist()
        found = [truth[0], *track.found.tolist()[1:]]
        pairs = list(zip(found, truth, strict=False))
        if lasot:
            pairs = [(a, b) for a, b in pairs if not any(map(isnan, b))]
        overlaps = [overlap(a, b) for a, b in pairs]
        errors = [hypot(*shift(a, b)) for a, b in pairs]
        relative = [
            hypot(shift(a, b)[0] / max(1, b[2]), shift(a, b)[1] / max(1, b[3])) for a, b in pairs
        ]
        curve = [share(overlaps, partial(lt, t)) for t in np.linspace(0, 1, 21).tolist()]
        wide = [share(relative, partial(ge, t)) for t in np.linspace(0, 0.5, 51).tolist()]
        each.append(
            {
                "AUC": sum(curve) / 21,
                "P": share(errors, lambda v: v <= 20),
                "SR.5": curve[10],
                "NP": sum(wide) / 51,
            }
        )
    names = ["AUC", "P", "SR.5", *(["NP"] if lasot else [])]
    return {name: sum(one[name] for one in each) / len(each) for name in names}


def trackingnet(tracks: list[Track]) -> dict[str, float]:
    areas: dict[str, list[float]] = {"success": [], "precision": [], "normalized precision": []}
    covered, steps = [], np.linspace(0, 1, 21).tolist()
    for track in tracks:
        truth = [[float(round(x)) for x in box] for box in track.truth.tolist()]
        found = [truth[0], *[[float(round(x)) for x in b] for b in track.found.tolist()[1:]]]
        pairs = list(zip(found, truth, strict=True))
        covered += [sum(a) > 0 for a in found]
        for name, passes in _PASSES.items():
            curve = [sum(passes(a, b, t) for a, b in pairs) / len(pairs) for t in steps]
            areas[name].append(5 * sum(x + y for x, y in pairwise(curve)) / 2)
    figures = {name: sum(values) / len(values) for name, values in areas.items()}
    return figures | {"coverage": 100 * sum(covered) / len(covered)}


def _reaches(a: Box, b: Box, place: float) -> bool:
    wide = max(0.0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    union = a[2] * a[3] + b[2] * b[3] - wide * high
    return union > 0 and wide * high / union >= place


def _close(a: Box, b: Box, place: float) -> bool:
    across, down = a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2
    return hypot(across, down) <= 50 * place


def _relatively_close(a: Box, b: Box, place: float) -> bool:
    if b[2] == 0 or b[3] == 0:
        return False
    across, down = a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2
    return hypot(across / b[2], down / b[3]) <= 0.5 * place


_PASSES: dict[str, Callable[[Box, Box, float], bool]] = {
    "success": _reaches,
    "precision": _close,
    "normalized precision": _relatively_close,
}


def lost(track: Track, enough: int) -> tuple[int, int]:
    """How often, and when first."""
    count, run, first = 0, 0, len(track.truth)
    begin = 0
    for frame, (a, b) in enumerate(zip(track.found.tolist(), track.truth.tolist(), strict=True)):
        hidden = any(map(isnan, b)) or min(b[2:]) <= 0
        hidden |= track.cover is not None and track.cover[frame] == 0
        hidden |= track.visible is not None and not track.visible[frame]
        if hidden:
            continue
        if frame > 0 and not overlap(a, b) > 0:
            begin = frame if run == 0 else begin
            run += 1
            if run == enough:
                count, first = count + 1, min(first, begin)
        else:
            run = 0
    return count, first
