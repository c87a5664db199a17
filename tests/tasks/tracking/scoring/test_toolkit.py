"""GOT-10k's, OTB's and LaSOT's conventions against got-10k/toolkit's own outputs."""

from itertools import chain
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.tracking.scoring import got10k, lasot, otb
from tasks.tracking.scoring.boxes import bring_inside, centre_error, normalised_error, overlap
from tasks.tracking.scoring.figures import Scores
from tasks.tracking.scoring.tracks import Frames, Track

from .files import same, stored

GIVEN = stored("got10k")
NAMES = {
    "AUC": "success_score",
    "P": "precision_score",
    "SR.5": "success_rate",
    "NP": "normalized_precision_score",
}
CURVES = {
    "success": "success_curve",
    "precision": "precision_curve",
    "normalised precision": "normalized_precision_curve",
}


def by_sequence(values: Any, owner: Any, count: int) -> list[Any]:
    return [values[owner == number] for number in range(count)]


def test_overlaps_and_errors_of_every_frame() -> None:
    for key, expected in GIVEN.arrays.items():
        kind, _, name = key.partition("/")
        if kind not in ("rect_iou", "center_error", "normalized_center_error"):
            continue
        track = GIVEN.track(name.rpartition("/")[2])
        found, truth = track.found, track.truth
        if kind == "center_error":
            same(centre_error(found, truth), expected)
        elif kind == "normalized_center_error":
            same(normalised_error(found, truth), expected)
        elif name.startswith("bounded"):
            extent = np.broadcast_to(np.array(track.extent, float), (len(found), 2))
            boxes = found.copy(), truth.copy()
            for each in boxes:
                bring_inside(each, extent)
            same(overlap(*boxes), expected)
        else:
            same(overlap(found, truth), expected)


def test_thresholds() -> None:
    given = {key: v for key, v in GIVEN.arrays.items() if key.startswith("thresholds/")}
    ours = (got10k.THRESHOLDS, otb.OVERLAPS, otb.PIXELS, lasot.SIZES)
    for expected, found in zip(given.values(), ours, strict=True):
        assert (expected == found).all()


@pytest.mark.parametrize("group", [g for g in GIVEN.expected["got10k"] if g != "repetitions"])
def test_got10k(group: str) -> None:
    expected = GIVEN.expected["got10k"][group]
    tracks = GIVEN.tracks(expected["sequences"])
    owner, overlaps = got10k.frames(tracks)
    scores = got10k.score(tracks)
    each = by_sequence(overlaps, owner, len(tracks))
    for number, (name, figures) in enumerate(expected["per_sequence"].items()):
        same(each[number], GIVEN.arrays[f"got10k/{group}/iou/{name}"])
        assert len(tracks[number].truth) - 1 == figures["length"]
        assert scores.figures["AO"].weight[number] == figures["frames_counted"]
        for ours, theirs in (("AO", "ao"), ("SR.5", "sr50"), ("SR.75", "sr75")):
            same(scores.figures[ours].each()[number], figures[theirs])
        key = f"got10k/{group}/success_curve/{name}"
        if key in GIVEN.arrays:
            curve = GIVEN.arrays[key]
            same(scores.curves["success"].shares()[number], curve)
            assert (
                scores.curves["success"].counts[number] == np.round(curve * len(each[number]))
            ).all()
    _compare_overall(
        scores, expected["overall"], GIVEN.arrays[f"got10k/{group}/overall/success_curve"]
    )


def _compare_overall(scores: Scores, expected: dict[str, float], curve: Any) -> None:
    assert scores.figures["AO"].weight.sum() == expected["frames_pooled"]
    for ours, theirs in (("AO", "ao"), ("SR.5", "sr50"), ("SR.75", "sr75")):
        same(scores.figures[ours].overall(), expected[theirs])
    same(scores.curves["success"].ratio.overall(), curve)


def test_got10k_pools_repetitions() -> None:
    """A sequence that was run three times weighs three times."""
    expected = GIVEN.expected["got10k"]["repetitions"]
    start = "got10k/repetitions/prediction/"
    runs = sorted(key for key in GIVEN.arrays if key.startswith(start))
    names = [key.removeprefix(start).partition("/")[0] for key in runs]
    tracks = [
        Track(t.name, t.truth, GIVEN.arrays[key], t.extent, None, t.cover)
        for key, t in zip(runs, GIVEN.tracks(names), strict=True)
    ]
    owner, overlaps = got10k.frames(tracks)
    scores = got10k.score(tracks)
    _compare_overall(
        scores, expected["overall"], GIVEN.arrays["got10k/repetitions/overall/success_curve"]
    )
    for name, figures in expected["per_sequence"].items():
        mine = np.array([[float(other == name) for other in names]])
        kept = mine[0][owner] > 0
        same(overlaps[kept], GIVEN.arrays[f"got10k/repetitions/iou/{name}"])
        assert kept.sum() == figures["frames_counted"]
        for ours, theirs in (("AO", "ao"), ("SR.5", "sr50"), ("SR.75", "sr75")):
            same(scores.figures[ours].at(mine)[0], figures[theirs])


def test_got10k_takes_as_many_boxes_as_frames() -> None:
    for name in ("short_pred", "long_pred"):
        with pytest.raises(DataError, match=f"sequence `{name}`: .* boxes for .* frames"):
            got10k.score([GIVEN.track(name)])


def _groups() -> list[tuple[str, str]]:
    both = chain.from_iterable(
        [(style, group) for group in GIVEN.expected[style]] for style in ("otb", "lasot")
    )
    return [(style, group) for style, group in both if group != "single_frame"]


@pytest.mark.parametrize(("style", "group"), _groups())
def test_otb_and_lasot(style: str, group: str) -> None:
    expected = GIVEN.expected[style][group]
    tracks = GIVEN.tracks(expected["sequences"])
    scores = otb.score(tracks) if style == "otb" else lasot.score(tracks)
    for number, (name, figures) in enumerate(expected["per_sequence"].items()):
        for curve in scores.curves.values():
            assert curve.frames[number] == figures["frames_counted"]
        for ours, figure in scores.figures.items():
            same(figure.each()[number], figures[NAMES[ours]])
        for ours, curve in scores.curves.items():
            key = f"{style}/{group}/{CURVES[ours]}/{name}"
            if key in GIVEN.arrays:
                same(curve.shares()[number], GIVEN.arrays[key])
                counts = GIVEN.arrays[key] * figures["frames_counted"]
                assert (curve.counts[number] == np.round(np.nan_to_num(counts))).all()
    for ours, figure in scores.figures.items():
        same(figure.overall(), expected["overall"][NAMES[ours]])
    for ours, curve in scores.curves.items():
        same(curve.ratio.overall(), GIVEN.arrays[f"{style}/{group}/overall/{CURVES[ours]}"])


@pytest.mark.parametrize(("style", "group"), _groups())
def test_frames_of_otb_and_lasot(style: str, group: str) -> None:
    expected = GIVEN.expected[style][group]
    tracks = GIVEN.tracks(expected["sequences"])
    frames = lasot.frames(tracks) if style == "lasot" else _whole(tracks)
    measures = {
        "iou": overlap,
        "center_error": centre_error,
        "normalized_center_error": normalised_error,
    }
    for kind, measure in measures.items():
        each = by_sequence(measure(frames.found, frames.truth), frames.owner, frames.sequences)
        for name, values in zip(expected["sequences"], each, strict=True):
            key = f"{style}/{group}/{kind}/{name}"
            if key in GIVEN.arrays:
                same(values, GIVEN.arrays[key])


def _whole(tracks: list[Track]) -> Frames:
    from tasks.tracking.scoring.tracks import cut, joined

    return joined(tracks, cut)


@pytest.mark.parametrize("style", ["otb", "lasot"])
def test_one_frame(style: str) -> None:
    """The toolkit's reader of text files fails on one line; its functions do not."""
    expected = GIVEN.expected[style]["single_frame"]["direct_calls_with_frame_1_set_to_truth"]
    scores = (otb if style == "otb" else lasot).score([GIVEN.track("single")])
    same(scores.curves["success"].shares()[0], expected["success_curve"])
    same(scores.curves["precision"].shares()[0], expected["precision_curve"])
