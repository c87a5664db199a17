"""Depth maps from files to metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.depth import maps
from tasks.depth.maps import Stored
from tests.tasks.depth.miniature import write_depth


def test_png_in_its_unit(tmp_path: Path) -> None:
    """As the published code has it: the stored number, in single precision, over the unit."""
    path = tmp_path / "0.png"
    numbers = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10_001
    write_depth(path, numbers.astype(np.float64), 1)
    for unit in (1000.0, 256.0, 5000.0):
        found = maps.read(path, unit, 80.0)
        assert found.values.dtype == np.uint16 and found.size == (2, 3)
        expected = numbers.astype(np.float32) / np.float32(unit)
        assert (found.metres() == expected).all() and found.metres().dtype == np.float32


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_npy_in_metres(tmp_path: Path, kind: type) -> None:
    depth = np.array([[0, 0.5], [2.25, 8]], kind)
    np.save(tmp_path / "0.npy", depth)
    # The unit is that of PNG.
    found = maps.read(tmp_path / "0.npy", 1000.0, 10.0)
    assert (found.metres() == depth).all() and found.metres().dtype == np.float32


def test_another_size_mixes_no_depths() -> None:
    values = np.array([[1000, 9000], [3000, 0]], np.uint16)
    larger = Stored(values, 1000.0).at((4, 6))
    assert (larger.values == values.repeat(2, 0).repeat(3, 1)).all()
    third = np.arange(36, dtype=np.uint16).reshape(6, 6)
    smaller = Stored(third, 1000.0).at((2, 2))
    assert (smaller.values == third[1::3, 1::3]).all(), "the pixel at the centre"
    floats = Stored(third.astype(np.float32), 1.0).at((2, 2))
    assert (floats.values == third[1::3, 1::3]).all()


def test_window_and_mirror() -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    part = Stored(values, 256.0).window(1, 2, (2, 2))
    assert part.values.tolist() == [[6, 7], [10, 11]] and part.unit == 256.0
    assert part.mirrored().values.tolist() == [[7, 6], [11, 10]]


@pytest.mark.parametrize("size", [(375, 1242), (370, 1224), (376, 1241), (352, 1216)])
def test_benchmark_crop(size: tuple[int, int]) -> None:
    values = np.arange(size[0] * size[1]).reshape(size)
    found = maps.kb_crop(values, "x.png")
    assert found.shape == (352, 1216)
    top, left = size[0] - 352, int((size[1] - 1216) / 2)
    assert (found == values[top:, left : left + 1216]).all()


def test_benchmark_crop_of_a_smaller_image() -> None:
    with pytest.raises(DataError, match=r"`x\.png` is 1216x351, smaller than KITTI's crop"):
        maps.kb_crop(np.zeros((351, 1216)), "x.png")
