"""What is stored is what is measured."""

from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.depth.storage import Keep, pack, unpack
from tests.tasks.depth.samples import maps, measure_of

MEASURE = measure_of()
SHAPES = [(24, 32), (1, 1), (1, 7), (7, 1), (33, 5)]


def everywhere(shape: tuple[int, int]) -> Any:
    return np.ones(shape, bool)


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_is_kept_to_the_bit(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, shape, dtype=np.uint32)
    # Any bits: NaN of every kind, infinities, zeros of both signs.
    for number, special in zip(
        range(bits.size), (0, 1 << 31, 0x7F800000, 0x7FC00001), strict=False
    ):
        bits.flat[number] = special
    found = unpack(pack(bits.view(np.float32), "float32", MEASURE.max_depth, everywhere(shape)))
    assert found.dtype == np.float32
    assert (found.view(np.uint32) == bits).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_uint16_is_rounded_to_the_next_step_and_then_stays(shape: tuple[int, int]) -> None:
    depth = maps(1, shape)[0]
    depth.flat[0] = 10
    content = pack(depth, "uint16", MEASURE.max_depth, everywhere(shape))
    found = unpack(content)
    step = 10 / 65535
    assert np.abs(found.astype(float) - depth).max() <= step / 2 + 1e-6
    assert found.flat[0] == 10
    assert pack(found, "uint16", MEASURE.max_depth, everywhere(shape)) == content
    assert (unpack(content) == found).all()


def test_uint16_keeps_small_depths_above_0_and_0_itself() -> None:
    depth = np.array([[0, 1e-9, 1e-5, 1e-3]], np.float32)
    found = unpack(pack(depth, "uint16", MEASURE.max_depth, everywhere((1, 4))))
    step = 10 / 65535
    assert found[0].tolist() == pytest.approx([0, step, step, 7 * step], rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1e-3, 10.001, 1e30])
def test_uint16_refuses_what_it_cannot_hold(bad: float) -> None:
    depth = np.full((3, 3), 2, np.float32)
    depth[1, 1] = bad
    with pytest.raises(DataError, match=r"1 of 9 predicted pixels .*; set it to float32"):
        pack(depth, "uint16", MEASURE.max_depth, everywhere((3, 3)))


def test_valid_keeps_what_counts_and_nothing_else() -> None:
    depth, truth = maps(2)
    counted = truth > 0
    content = pack(depth, "valid", MEASURE.max_depth, counted)
    found = unpack(content, valid=counted)
    assert (found[counted] == depth[counted]).all()
    assert np.isnan(found[~counted]).all()
    other = depth.copy()
    other[~counted] = np.nan
    assert pack(other, "valid", MEASURE.max_depth, counted) == content


def test_valid_of_no_pixel_is_a_map_of_nothing() -> None:
    depth, nowhere = np.ones((4, 4), np.float32), np.zeros((4, 4), bool)
    assert np.isnan(unpack(pack(depth, "valid", MEASURE.max_depth, nowhere), valid=nowhere)).all()


def test_valid_is_not_read_with_another_mask() -> None:
    depth, truth = maps(3)
    counted = truth > 0
    content = pack(depth, "valid", MEASURE.max_depth, counted)
    # As many pixels, elsewhere.
    for other in (np.roll(counted, 1), counted.T, None):
        with pytest.raises(DataError, match="other pixels count here"):
            unpack(content, valid=other)


def test_a_map_of_another_shape_is_refused() -> None:
    content = pack(np.ones((4, 6), np.float32), "float32", MEASURE.max_depth, everywhere((4, 6)))
    assert unpack(content, (4, 6)).shape == (4, 6)
    with pytest.raises(DataError, match="it is 4x6, expected 6x4"):
        unpack(content, (6, 4))


@pytest.mark.parametrize("keep", ["float32", "uint16", "valid"])
def test_damaged_bytes_are_refused(keep: Keep) -> None:
    depth, truth = maps(4)
    counted = truth > 0
    content = pack(depth, keep, MEASURE.max_depth, counted)
    for broken in (b"", content[:10], b"\x09" + content[1:]):
        with pytest.raises(DataError, match="no stored depth map"):
            unpack(broken, valid=counted)
    for broken in (content[:-4], content[:40] + bytes(20) + content[60:]):
        with pytest.raises(DataError, match="damaged"):
            unpack(broken, valid=counted)
    wider = content[:5] + (40).to_bytes(4, "little") + content[9:]
    with pytest.raises(DataError, match=r"damaged|other pixels"):
        unpack(wider, valid=counted)


def test_a_smooth_map_takes_few_bytes() -> None:
    rows, columns = np.mgrid[:240, :320]
    smooth = (2 + rows / 100 + np.sin(columns / 50)).astype(np.float32)
    plain = smooth.size * 4
    assert len(pack(smooth, "uint16", MEASURE.max_depth, everywhere(smooth.shape))) < plain / 20
    assert len(pack(smooth, "float32", MEASURE.max_depth, everywhere(smooth.shape))) < plain / 1.8
