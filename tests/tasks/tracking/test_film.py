"""Films and sheets of a sequence."""

import io

import numpy as np
import pytest
from PIL import Image

from tasks import films
from tasks.figures import DPI
from tasks.tracking import film as filming
from tasks.tracking.film import area, film, search, sheet
from tasks.tracking.followed import followed
from tasks.tracking.views import AREA, FOUND, TRUE
from tests.tasks.tracking.following import Followable, Painted, moving, prediction, sequence

TITLE = "an encoder: tracking on painted; n=1"


def filmed(count: int = 8, lag: float = 2.0) -> tuple[list[Image.Image], Followable]:
    one = sequence("a", count)
    data = Followable([one])
    return film([prediction(0, one, lag)], data, "a", TITLE), data


def test_a_film_has_every_frame_once_in_one_size_and_palette() -> None:
    frames, _ = filmed()
    assert len(frames) == 8
    assert len({frame.size for frame in frames}) == 1
    assert len({bytes(frame.getpalette() or []) for frame in frames}) == 1
    with Image.open(io.BytesIO(films.as_gif(frames))) as gif:
        assert (gif.format, gif.n_frames, gif.info["duration"]) == ("GIF", 8, 100)
        for number in range(8):
            gif.seek(number)
            there = np.asarray(gif.convert("RGB"))
            np.testing.assert_array_equal(there, np.asarray(frames[number].convert("RGB")))


def test_boxes_of_a_film_move_as_they_should() -> None:
    frames, _ = filmed(count=8, lag=2.0)
    scale = 1.9 * DPI / 60
    for number in (0, 3, 7):
        pixels = np.asarray(frames[number].convert("RGB"))
        # Margin, heading, one line of title, gap.
        left, top = round(0.2 * DPI), round((0.2 + 0.3 + 0.17 + 0.1) * DPI)
        view = pixels[top : top + round(60 * scale), left : left + round(80 * scale)]
        true, found = (view == TRUE).all(2), (view == FOUND).all(2)
        x = 20 + number
        assert np.nonzero(true)[1].min() == pytest.approx(x * scale, abs=1)
        assert np.nonzero(true)[0].min() == pytest.approx(15 * scale, abs=1)
        assert np.nonzero(true)[0].max() == pytest.approx(25 * scale - 1, abs=4)
        if number:
            assert np.nonzero(found)[1].min() == pytest.approx((x - 2 * number) * scale, abs=1)


def test_the_marker_walks_along_the_curve() -> None:
    frames, _ = filmed(count=11, lag=0.0)
    places = []
    for frame in frames:
        pixels = np.asarray(frame.convert("RGB"))
        below = pixels[round(pixels.shape[0] * 0.6) :]
        places.append(np.nonzero((below == FOUND).all(2))[1].mean())
    steps = np.diff(places)
    assert (steps > 0).all() and np.ptp(steps) <= 2


def test_a_long_sequence_is_thinned_and_says_so(
    monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    monkeypatch.setattr(filming, "MOST", 5)
    frames, data = filmed(count=21)
    assert len(frames) == 5
    painted = data.sequences[0].frames
    assert isinstance(painted, Painted)
    assert painted.asked[-5:] == [0, 5, 10, 15, 20]
    assert any("5 of 21 frames are shown" in line for line in texts)
    texts.clear()
    filmed(count=5)
    assert not any("are shown" in line for line in texts)


def test_a_film_stays_below_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 60, 80, 3), dtype=np.uint8)

    class Noise(Painted):
        def read(self, frame: int) -> np.ndarray:
            return noise[frame]

    one = sequence("a", 30, frames=Noise(30))
    monkeypatch.setattr(filming, "BYTES", 300_000)
    frames = film([prediction(0, one)], Followable([one]), "a", TITLE)
    assert 1 < len(frames) < 15
    assert len(films.as_gif(frames)) < 1.1 * 300_000


def test_the_search_area_is_the_one_of_the_recipe() -> None:
    data = Followable([])
    x, y, w, h = area(np.array([20.0, 15.0, 20.0, 10.0]), data.recipe)
    # f = 4: (20 + 3 * 15)(10 + 3 * 15) pixels, square as the input is.
    assert w * h == pytest.approx(65 * 55, rel=1e-12) and w == pytest.approx(h)
    assert (x + w / 2, y + h / 2) == (pytest.approx(30), pytest.approx(20))
    small = area(np.array([20.0, 15.0, 2.0, 1.0]), data.recipe)
    assert small[2] == pytest.approx(40), "of a box enlarged to 10 x 10"
    assert np.isnan(area(np.full(4, np.nan), data.recipe)).all()


def test_scores_colour_their_cells_and_boxes_lie_in_the_area() -> None:
    one = sequence("a")
    data = Followable([one])
    found = followed(prediction(0, one, lag=1.0), data)
    pixels = np.asarray(search(one.frames.read(4), found, 4, data.recipe, 160)).astype(int)
    assert pixels.shape == (160, 160, 3)
    blue = pixels[..., 2] - pixels[..., 0] > 60
    lines, columns = np.nonzero(blue)
    # Cell 2, 5 of 8 x 8.
    assert (lines.min(), lines.max(), columns.min(), columns.max()) == (40, 59, 100, 119)
    x, y, w, _ = area(found.centres[4], data.recipe)
    true = (pixels == TRUE).all(2)
    left = (found.sequence.boxes[4, 0] - x) * 160 / w
    assert np.nonzero(true)[1].min() == pytest.approx(left, abs=1)
    assert np.nonzero(true)[0].min() == pytest.approx((15 - y) * 160 / w, abs=1)


def test_without_maps_the_search_area_has_its_own_colours(texts: list[str]) -> None:
    one = sequence("a")
    data = Followable([one])
    row = prediction(0, one, maps=False)
    pixels = np.asarray(search(one.frames.read(4), followed(row, data), 4, data.recipe, 160))
    assert (pixels[70, 80] == 64).all()
    film([row], data, "a", TITLE)
    assert any("score maps were not kept" in line for line in " ".join(texts).split(". "))


def test_no_search_leaves_a_light_field() -> None:
    one = sequence("a")
    data = Followable([one])
    first = search(one.frames.read(0), followed(prediction(0, one), data), 0, data.recipe, 90)
    assert first.size == (90, 90) and first.getextrema() == ((238, 238),) * 3


@pytest.mark.parametrize("count", [1, 2, 24])
def test_a_sheet_shows_frames_from_the_first_to_the_last(count: int, texts: list[str]) -> None:
    one = sequence("a", count)
    picture = sheet([prediction(0, one)], Followable([one]), "a", TITLE)
    assert picture.mode == "RGB"
    captions = [line for line in texts if ": given" in line or ": overlap" in line]
    numbers = [int(line.partition(":")[0]) for line in captions]
    assert numbers[0] == 1 and numbers[-1] == count and len(numbers) == min(count, 18)
    pixels = np.asarray(picture)
    assert (pixels == TRUE).all(2).any()
    if count > 1:
        assert (pixels == AREA).all(2).any()
    assert len(film([prediction(0, one)], Followable([one]), "a", TITLE)) == count


def test_frames_of_changing_size_are_drawn() -> None:
    class Changing(Painted):
        def read(self, frame: int) -> np.ndarray:
            return super().read(frame)[: 60 - 5 * frame]

    one = sequence("a", 6, frames=Changing(6), boxes=moving(6))
    frames = film([prediction(0, one)], Followable([one]), "a", TITLE)
    assert len({frame.size for frame in frames}) == 1
    sheet([prediction(0, one)], Followable([one]), "a", TITLE)
