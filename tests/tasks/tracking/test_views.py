"""Boxes are where they should be, to the pixel."""

import numpy as np
import pytest

from tasks.tracking.views import FOUND, RIM, TRUE, Mark, view

GREY = 128


def drawn(mark: Mark, size: tuple[int, int] = (60, 80), scale: int = 4) -> np.ndarray:
    image = np.full((*size, 3), GREY, np.uint8)
    return np.asarray(view(image, [mark], size[0] * scale, size[1] * scale))


def extent(where: np.ndarray) -> tuple[int, int, int, int]:
    """First and last column, first and last line."""
    lines, columns = np.nonzero(where)
    return columns.min(), columns.max(), lines.min(), lines.max()


@pytest.mark.parametrize("dashed", [False, True])
def test_a_box_covers_the_pixels_from_its_edge_to_its_end(dashed: bool) -> None:
    pixels = drawn(Mark(np.array([10.0, 5.0, 20.0, 30.0]), FOUND, dashed))
    assert pixels.shape == (240, 320, 3)
    line = (pixels == FOUND).all(2)
    left, right, top, bottom = extent(line)
    assert (left, top) == (40, 20)
    # Dashes may end before the corner.
    assert 119 - 4 * dashed <= right <= 119 and 139 - 4 * dashed <= bottom <= 139
    assert not line[23:137, 43:117].any(), "the inside stays free"
    assert (pixels[50:100, 50:100] == GREY).all()
    share = line[20, 40:120].mean()
    assert share == 1 if not dashed else 0.5 < share < 0.8


def test_a_dark_rim_surrounds_every_line() -> None:
    for dashed in (False, True):
        pixels = drawn(Mark(np.array([10.0, 5.0, 20.0, 30.0]), TRUE, dashed))
        assert extent((pixels == RIM).all(2))[::2] == (39, 19)


def test_what_lies_beyond_the_image_is_cut_and_unknown_boxes_are_left_out() -> None:
    pixels = drawn(Mark(np.array([-20.0, 10.0, 40.0, 20.0]), FOUND))
    line = (pixels == FOUND).all(2)
    assert extent(line) == (0, 79, 40, 119)
    for box in ([np.nan] * 4, [0, 0, np.nan, 5], [1000, 1000, 20, 20]):
        assert (drawn(Mark(np.array(box, float), FOUND)) == GREY).all()


@pytest.mark.parametrize("box", [[20.0, 20.0, 0.0, 0.0], [20.0, 20.0, -5.0, 0.1]])
def test_an_empty_box_is_still_seen(box: list[float]) -> None:
    line = (drawn(Mark(np.array(box), FOUND)) == FOUND).all(2)
    assert 0 < line.sum() <= 16


def test_the_shape_of_an_image_is_kept() -> None:
    for size in ((30, 90), (90, 30), (200, 200)):
        canvas = view(np.zeros((*size, 3), np.uint8), [], 120, 150)
        assert canvas.width <= 150 and canvas.height <= 120
        assert canvas.width == 150 or canvas.height == 120
        assert canvas.width / canvas.height == pytest.approx(size[1] / size[0], rel=0.02)
