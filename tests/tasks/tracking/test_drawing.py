"""The pictures of a run of tracking."""

import numpy as np
import pytest

from tasks.contract import DataError, Row
from tasks.tracking import drawing
from tasks.tracking.drawing import draw, pictures, spread
from tests.tasks.tracking.following import Followable, moving, prediction, sequence

TITLE = "an encoder: tracking on painted, seed 0; test split, n=12"


def some(count: int) -> tuple[list[Row], Followable]:
    """The k-th of them is the k-th best."""
    data = Followable([sequence(f"s{k}") for k in range(count)])
    rows = [prediction(k, each, lag=0.1 * k) for k, each in enumerate(data.sequences)]
    return rows, data


def names(texts: list[str]) -> list[str]:
    return [line.partition(":")[0] for line in texts if ": 10 frames" in line]


def test_the_picture_shows_the_first_sequences_and_their_overlap(texts: list[str]) -> None:
    rows, data = some(6)
    picture = draw(rows[::-1], data)
    assert names(texts) == ["s0", "s1", "s2", "s3"]
    assert texts.count("1: given") == 4
    # A box 20 wide that is 0.3 * 9 pixels behind.
    assert f"10: overlap {(20 - 2.7) / (20 + 2.7):.2f}" in texts
    assert any("4 of 6 sequences." in line for line in texts)
    assert picture.width > 1000


def test_the_best_the_middle_and_the_worst(texts: list[str]) -> None:
    rows, data = some(12)
    found = pictures(rows[::-1], data, TITLE)
    assert list(found.images)[:3] == ["best", "median", "worst"]
    assert set(found.images) == {"best", "median", "worst", "success"}
    assert names(texts) == [f"s{k}" for k in (0, 1, 2, 3, 7, 6, 5, 4, 11, 10, 9, 8)]
    lines = found.tables["sequences"]
    assert [line["sequence"] for line in lines] == [f"s{k}" for k in range(11, -1, -1)]
    lag = 1.1 * np.arange(1, 10)
    overlap = (20 - lag) / (20 + lag)
    assert lines[0]["mean_overlap"] == pytest.approx(overlap.mean(), rel=1e-12)
    assert lines[0]["above_half"] == pytest.approx((overlap > 0.5).mean())
    assert (lines[0]["frames"], lines[0]["counted"]) == (10, 9)


def test_sequences_without_truth_are_in_the_table_alone(texts: list[str]) -> None:
    data = Followable([sequence("known"), sequence("hidden", labelled=False)])
    rows = [prediction(k, each) for k, each in enumerate(data.sequences)]
    found = pictures(rows, data, TITLE)
    assert set(names(texts)) == {"known"}
    assert [line["sequence"] for line in found.tables["sequences"]] == ["known", "hidden"]
    assert found.tables["sequences"][1]["mean_overlap"] is None
    assert found.notes == ("1 of 2 sequences have no truth: they are in the table alone",)

    data = Followable([sequence("hidden", labelled=False), sequence("still", 1, boxes=moving(1))])
    rows = [prediction(k, each) for k, each in enumerate(data.sequences)]
    found = pictures(rows, data, TITLE)
    assert list(found.images) == ["samples"] and "nothing can be scored" in found.notes[0]
    assert "10: no truth" in texts


def test_rows_that_do_not_fit_are_refused() -> None:
    rows, data = some(3)
    with pytest.raises(DataError, match="1 of 3 samples have no prediction"):
        pictures(rows[1:], data, TITLE)


def test_boxes_that_another_program_did_not_write_are_not_drawn(texts: list[str]) -> None:
    rows, data = some(3)
    draw([rows[0] | {"boxes": rows[0]["boxes"][:-4]}, *rows[1:]], data)
    assert "10: overlap 0.00" in texts


def test_frames_are_spread_from_the_first_to_the_last() -> None:
    assert spread(1, 6) == [0]
    assert spread(4, 6) == [0, 1, 2, 3]
    for count in (7, 24, 999):
        found = spread(count, 6)
        assert found[0] == 0 and found[-1] == count - 1 and len(set(found)) == 6
        assert np.ptp(np.diff(found)) <= 1


def test_absent_frames_are_grey_in_the_curve() -> None:
    from tasks.figures import Page
    from tasks.tracking.followed import followed

    one = sequence("a", 10, absent=np.arange(10) >= 5)
    page = Page("a", "b", (3, 2))
    drawing.curve(page.axes(0, 0, 3, 2), followed(prediction(0, one), Followable([one])), [0, 9])
    pixels = np.asarray(page.image())
    line = pixels[page.pixel(0, 1)[1]]
    grey = np.nonzero((line == 0xDD).all(1))[0]
    left = page.pixel(0, 0)[0]
    assert grey.min() - left == pytest.approx(450 * 4.5 / 9, abs=2)
