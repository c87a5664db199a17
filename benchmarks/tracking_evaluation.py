"""Tracking evaluation: ours against the got10k package, on the same boxes.

Run: python -m benchmarks.tracking_evaluation [--sequences N] [--repeats N] [--toolkit DIR]. Both
start from boxes in memory and end with the figures of each sequence and of all, which must be equal
to 1e-9: GOT-10k's convention by `ExperimentGOT10k._evaluate`, OTB's by `ExperimentOTB`'s
`_calc_metrics` and `_calc_curves`, in the loops of their `report`. The package is no dependency:
install it elsewhere (`pip install got10k --target DIR`, or any environment's site-packages) and
name the folder. Timed beside: each side's way from stored results to arrays (text by
`numpy.loadtxt`, as its `report` reads it; rows as Parquet gives them), and ours to the whole
evaluation, with 200 resamples, figures by attribute and losses. Neither has threads; seconds are
those of the processor, so that other work on the machine counts little. Interleaved in one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.tracking.metrics import evaluate
from tasks.tracking.recipe import Convention, MeasureRecipe, TrackingData
from tasks.tracking.rows import boxes, row
from tasks.tracking.scoring.conventions import score
from tasks.tracking.scoring.tracks import Track
from tasks.tracking.sequences import Frames, Sequence

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 1280, 720
ATTRIBUTES = ("fast motion", "occlusion", "scale variation", "deformation")


class Blank(Frames):
    """Frames of which only the size is asked for."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def read(self, frame: int) -> NDArray[np.uint8]:
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def extent(self) -> tuple[int, int]:
        return WIDTH, HEIGHT

    def name(self, frame: int) -> str:
        return str(frame)


def data_set(sequences: list[Sequence], convention: Convention) -> Any:
    """What evaluation needs of a data set."""
    measure, data = (
        MeasureRecipe.model_validate({"convention": convention}),
        TrackingData.model_validate({"name": "got10k"}),
    )
    return SimpleNamespace(sequences=sequences, recipe=SimpleNamespace(measure=measure, data=data))


def walks(count: int, median: float) -> tuple[list[Sequence], list[Floats]]:
    """Targets that wander, and boxes that follow them more and more loosely; lengths as in
    GOT-10k's validation set, lognormal about the median."""
    rng = np.random.default_rng(0)
    sequences: list[Sequence] = []
    found: list[Floats] = []
    for number in range(count):
        length = int(np.clip(np.exp(rng.normal(np.log(median), 0.5)), 20, 4000))
        centre = np.cumsum(rng.normal(0, 4, (length, 2)), 0) + np.array([WIDTH / 2, HEIGHT / 2])
        size = np.exp(np.cumsum(rng.normal(0, 0.02, (length, 2)), 0)) * rng.uniform(40, 200, 2)
        truth = np.concatenate((centre - size / 2, size), 1)
        drift = np.cumsum(rng.normal(0, 0.4 + 4 * rng.random() ** 3, (length, 4)), 0)
        cover = rng.integers(0, 9, length)
        names = tuple(name for name in ATTRIBUTES if rng.random() < 0.4)
        sequences.append(
            Sequence(f"walk-{number:04d}", Blank(length), truth, None, cover, attributes=names)
        )
        found.append(np.maximum(truth + drift, [-1e4, -1e4, 1, 1]))
        found[-1][0] = truth[0]
    return sequences, found


def toolkit_got10k(tracks: list[Track], package: Any) -> tuple[list[Any], Any]:
    """GOT-10k's loop: each sequence, then all frames pooled."""
    experiment = object.__new__(package.ExperimentGOT10k)
    times = np.zeros(0)
    each, all_of = [], []
    for track in tracks:
        assert track.cover is not None
        overlaps = package.rect_iou(track.found[1:], track.truth[1:], bound=(WIDTH, HEIGHT))
        overlaps = overlaps[track.cover[1:] > 0]
        all_of.append(overlaps)
        each.append(experiment._evaluate(overlaps, times))
    return each, experiment._evaluate(np.concatenate(all_of), times)


def toolkit_otb(tracks: list[Track], package: Any) -> tuple[Floats, Floats]:
    """OTB's loop: the curves of each sequence."""
    experiment = object.__new__(package.ExperimentOTB)
    experiment.nbins_iou, experiment.nbins_ce = 21, 51
    success, precision = np.zeros((len(tracks), 21)), np.zeros((len(tracks), 51))
    for number, track in enumerate(tracks):
        measured = experiment._calc_metrics(track.found, track.truth)
        success[number], precision[number] = experiment._calc_curves(*measured)
    return success, precision


def timed(call: Callable[[], Any], seconds: list[float]) -> Any:
    start = time.process_time()
    value = call()
    seconds.append(time.process_time() - start)
    return value


def require_equal(ours: Any, theirs: Any) -> None:
    difference = np.abs(np.asarray(ours, float) - np.asarray(theirs, float)).max()
    assert difference < 1e-9, difference


def copies(tracks: list[Track]) -> list[Track]:
    """Their boxes anew: the toolkit brings them into the image in place."""
    return [Track(t.name, t.truth.copy(), t.found.copy(), t.extent, None, t.cover) for t in tracks]


def ours_got10k(tracks: list[Track]) -> tuple[Any, ...]:
    scores = score(tracks, "got10k", "got10k")
    curve = scores.curves["success"]
    figures = scores.figures
    return (
        [figure.each() for figure in figures.values()],
        [figure.overall() for figure in figures.values()],
        curve.shares(),
        curve.ratio.overall(),
    )


def ours_otb(tracks: list[Track]) -> tuple[Floats, Floats]:
    scores = score(tracks, "otb", "otb100")
    return scores.curves["success"].shares(), scores.curves["precision"].shares()


def compare(sequences: list[Sequence], found: list[Floats], package: Any, repeats: int) -> None:
    tracks = [
        Track(s.name, s.boxes, f, (WIDTH, HEIGHT), None, s.cover)
        for s, f in zip(sequences, found, strict=True)
    ]
    pairs = zip(sequences, found, strict=True)
    nothing = [np.full(len(f), np.nan) for f in found]
    rows = [row(k, s.name, f, nothing[k], np.tile(nothing[k], 4)) for k, (s, f) in enumerate(pairs)]
    names = ("got10k: ours", "got10k: package", "otb: ours", "otb: package", "rows", "text")
    text = ["\n".join(",".join(f"{x:.3f}" for x in box) for box in f.tolist()) for f in found]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    whole: dict[Convention, list[float]] = {"got10k": [], "otb": []}
    for _ in range(repeats):
        timed(lambda: [boxes(each) for each in rows], seconds["rows"])
        timed(lambda: [np.loadtxt(StringIO(t), delimiter=",") for t in text], seconds["text"])
        mine = timed(partial(ours_got10k, copies(tracks)), seconds[names[0]])
        each, pooled = timed(partial(toolkit_got10k, copies(tracks), package), seconds[names[1]])
        require_equal(mine[0][0], [one[0] for one in each])
        require_equal(mine[2], [one[3] for one in each])
        require_equal(mine[1][:2], pooled[:2])
        require_equal(mine[3], pooled[3])
        curves = timed(partial(ours_otb, copies(tracks)), seconds[names[2]])
        theirs = timed(partial(toolkit_otb, copies(tracks), package), seconds[names[3]])
        require_equal(curves[0], theirs[0])
        require_equal(curves[1], theirs[1])
        for convention, times in whole.items():
            timed(partial(evaluate, rows, data_set(sequences, convention)), times)
    total = sum(map(len, found))
    print(f"{len(found)} sequences, {total} frames, median of {repeats} runs (smallest to largest)")
    for name, values in seconds.items():
        _line(name, values)
    for name in ("got10k", "otb"):
        ours, theirs = np.array(seconds[f"{name}: ours"]), np.array(seconds[f"{name}: package"])
        _ratio(f"{name} from memory", theirs / ours)
        stored = theirs + np.array(seconds["text"])
        _ratio(f"{name} from stored results", stored / (ours + np.array(seconds["rows"])))
    for name, values in whole.items():
        _line(f"{name}: rows to evaluation", values)


def _ratio(name: str, ratios: Floats) -> None:
    spread = f"{ratios.min():.1f} to {ratios.max():.1f}"
    print(f"{name}: ours is {np.median(ratios):.1f}x ({spread})")


def _line(name: str, values: list[float]) -> None:
    middle, low, high = (1e3 * f(values) for f in (statistics.median, min, max))
    print(f"{name:>26}: {middle:8.1f} ms  ({low:.1f} to {high:.1f})")


class Package:
    """What is compared of the got10k package."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            # Last: only what is not installed here comes from there.
            sys.path.append(str(folder))
        experiments = import_module("got10k.experiments")
        self.ExperimentGOT10k = experiments.ExperimentGOT10k
        self.ExperimentOTB = experiments.ExperimentOTB
        self.rect_iou = import_module("got10k.utils.metrics").rect_iou


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--frames", type=float, default=110, help="median length")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--toolkit", type=Path, help="folder that holds the package `got10k`")
    options = parser.parse_args()
    sequences, found = walks(options.sequences, options.frames)
    compare(sequences, found, Package(options.toolkit), options.repeats)


if __name__ == "__main__":
    main()
