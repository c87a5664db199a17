"""Figures against their definitions, and what must not change them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.tracking.recipe import Convention
from tasks.tracking.scoring import got10k, lasot, otb, pytracking, robustness, trackingnet
from tasks.tracking.scoring.conventions import PRIMARY, score
from tasks.tracking.scoring.counting import Sign, passing
from tasks.tracking.scoring.robustness import LOST_AFTER
from tasks.tracking.scoring.tracks import Track

from . import example, slow

THRESHOLDS = (
    got10k.THRESHOLDS,
    otb.OVERLAPS,
    otb.PIXELS,
    lasot.SIZES,
    pytracking.OVERLAPS,
    pytracking.SIZES,
    trackingnet.PIXELS,
    trackingnet.SIZES,
)
CONVENTIONS: list[Convention] = ["got10k", "otb", "lasot", "pytracking", "trackingnet"]


@pytest.mark.parametrize("seed", range(6))
def test_figures_are_their_definitions(seed: int) -> None:
    tracks = slow.sequences(np.random.default_rng(seed))
    unknown = [replace(t, truth=t.truth.copy()) for t in tracks]
    for track in unknown:
        track.truth[3::7] = np.nan
    cases: tuple[tuple[Convention, list[Track], dict[str, float]], ...] = (
        ("got10k", tracks, slow.got10k(tracks)),
        ("otb", unknown, slow.toolkit(unknown, lasot=False)),
        ("lasot", unknown, slow.toolkit(unknown, lasot=True)),
        ("trackingnet", tracks, slow.trackingnet(tracks)),
    )
    for convention, given, expected in cases:
        figures = score(given, convention, "folder").figures
        assert list(figures) == list(expected)
        for name, value in expected.items():
            assert figures[name].overall() == pytest.approx(value, abs=1e-12), (convention, name)


@pytest.mark.parametrize("sign", [">", ">=", "<="])
def test_counting_is_comparing(sign: Sign) -> None:
    rng = np.random.default_rng(0)
    for thresholds in (
        np.linspace(0, 1, 101),
        np.linspace(0, 1, 21),
        np.arange(51.0),
        np.linspace(0, 0.5, 51),
    ):
        exact = rng.choice(thresholds, 4000)
        around = np.concatenate((np.nextafter(exact, 9), np.nextafter(exact, -9), exact))
        wild = rng.normal(0.5, 1, 4000) * thresholds[-1]
        odd = np.array([np.nan, np.inf, -np.inf, -1, 0, -0.0, 1e300, -1e300, 1e9])
        values = np.concatenate((around, wild, odd))
        owner = np.sort(rng.integers(0, 7, len(values)))
        compare = {">": np.greater, ">=": np.greater_equal, "<=": np.less_equal}[sign]
        every = compare(values[:, None], thresholds)
        expected = [every[owner == k].sum(0).tolist() for k in range(8)]
        assert passing(values, sign, thresholds, owner, 8).tolist() == expected


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_order_changes_nothing(convention: Convention) -> None:
    tracks = slow.sequences(np.random.default_rng(1))
    order = np.random.default_rng(2).permutation(len(tracks))
    before = score(tracks, convention, "folder")
    after = score([tracks[k] for k in order], convention, "folder")
    for name, figure in before.figures.items():
        assert after.figures[name].overall() == pytest.approx(float(figure.overall()), abs=1e-12)
        assert np.array_equal(after.figures[name].each(), figure.each()[order], equal_nan=True)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_perfect_boxes_have_the_highest_figures(convention: Convention) -> None:
    tracks = slow.sequences(np.random.default_rng(3))
    for track in tracks:
        track.truth[:, :2] = np.abs(track.truth[:, :2]) % 60 + 1
        track.truth[:, 2:] = np.maximum(track.truth[:, 2:], 2) % 30 + 3
        # Of whole numbers: of others pytracking's overlap of equal boxes may be a bit above 1.
        np.round(track.truth, out=track.truth)
    tracks = [replace(t, found=t.truth.copy(), visible=None) for t in tracks]
    highest = {"got10k": 1, "otb": 20 / 21, "lasot": 20 / 21, "pytracking": 2000 / 21}
    found = score(tracks, convention, "folder").figures[PRIMARY[convention]].overall()
    assert found == pytest.approx(highest.get(convention, 100), abs=1e-9)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_inputs_stay_as_they_are(convention: Convention) -> None:
    tracks = slow.sequences(np.random.default_rng(4))
    before = [(t.truth.copy(), t.found.copy()) for t in tracks]
    score(tracks, convention, "folder")
    for track, (truth, found) in zip(tracks, before, strict=True):
        assert (track.truth == truth).all() and (track.found == found).all()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_no_sequences_have_no_figures(convention: Convention) -> None:
    for figure in score([], convention, "folder").figures.values():
        assert len(figure.each()) == 0 and np.isnan(figure.overall())


def test_a_sequence_without_labels_of_cover_counts_known_frames() -> None:
    (track,) = slow.sequences(np.random.default_rng(5), 3)[2:]
    track.truth[2] = np.nan
    absent = np.zeros(len(track.truth), bool)
    absent[3] = True
    plain = score([replace(track, cover=None, absent=absent)], "got10k", "folder")
    cover = np.ones(len(track.truth), int)
    cover[[2, 3]] = 0
    same = score([replace(track, cover=cover)], "got10k", "folder")
    assert plain.figures["AO"].weight[0] == len(track.truth) - 3
    assert plain.figures["AO"].overall() == same.figures["AO"].overall()


@pytest.mark.parametrize("seed", range(6))
def test_losses_are_their_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracks = slow.sequences(rng, 30)
    for track in tracks:
        start = int(rng.integers(0, len(track.truth)))
        track.found[start : start + int(rng.integers(2, 20))] += 400
    figures = robustness.figures(tracks)
    expected = [slow.lost(track, LOST_AFTER) for track in tracks]
    assert figures["losses"].each().tolist() == [count for count, _ in expected]
    assert figures["frames to loss"].each().tolist() == [first for _, first in expected]
    assert sum(count for count, _ in expected) > 5


def test_a_loss_is_a_run_that_lasts_while_the_target_is_seen() -> None:
    truth = np.tile([[10.0, 10, 5, 5]], (30, 1))
    far = [90.0, 90, 5, 5]

    def lost(frames: list[int], hidden: list[int] = []) -> list[float]:  # noqa: B006
        found = truth.copy()
        found[frames] = far
        seen = np.ones(30, bool)
        seen[hidden] = False
        figures = robustness.figures([Track("a", truth, found, visible=seen)])
        return [float(figure.each()[0]) for figure in figures.values()]

    enough = LOST_AFTER
    assert lost([]) == [0, 30]
    assert lost(list(range(3, 3 + enough - 1))) == [0, 30]
    assert lost(list(range(3, 3 + enough))) == [1, 3]
    # A long one is one; a frame that is found again ends it.
    assert lost(list(range(3, 25))) == [1, 3]
    assert lost([*range(3, 3 + enough), *range(4 + enough, 4 + 2 * enough)]) == [2, 3]
    # Hidden frames neither count nor end it.
    assert lost(list(range(3, 3 + enough)), hidden=[4]) == [0, 30]
    assert lost([*range(3, 6), *range(8, 4 + enough)], hidden=[6, 7]) == [0, 30]
    assert lost([*range(3, 6), *range(8, 5 + enough)], hidden=[6, 7]) == [1, 3]
    # The first frame is given.
    assert lost(list(range(enough))) == [0, 30]


def test_boxes_that_are_missing_are_lost() -> None:
    truth = np.tile([[10.0, 10, 5, 5]], (30, 1))
    figures = robustness.figures([Track("a", truth, truth[:8])])
    assert [float(figure.each()[0]) for figure in figures.values()] == [1, 8]


def test_the_documents_table_is_what_comes_out() -> None:
    lines = (Path(__file__).parents[4] / "docs/tracking_conventions.md").read_text().splitlines()
    table = example.table()
    start = lines.index(table[0])
    assert lines[start : start + len(table)] == table


def test_five_conventions_give_five_figures() -> None:
    tracks = example.CASES["leaves the image, then true boxes NaN"]
    figures = {example.figure(tracks, convention) for convention in CONVENTIONS}
    assert len(figures) == 5 and "refused" not in figures
