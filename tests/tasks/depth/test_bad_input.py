"""What cannot be used is refused in one line that names the file and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasks.contract import DataError, RecipeError
from tasks.depth.data import DepthDataset
from tests.tasks.depth import miniature
from tests.tasks.depth.miniature import folder, recipe, write_depth, write_folder, write_image

DEPTH = "train/sequence_0/depth/000.png"
IMAGE = "train/sequence_0/rgb/000.jpg"
Break = Callable[[Path], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "set", listed=True)


def refused(root: Path, said: str) -> None:
    """Every item is asked for: images are read then, depth maps when the split is opened."""
    with pytest.raises(DataError, match=said) as found:
        data = folder(root, join_selection=True)
        for index in range(len(data)):
            data.item(index, None)
    message = str(found.value)
    assert "\n" not in message
    assert str(root) in message


def npy(values: object) -> Break:
    def write(root: Path) -> None:
        np.save(root / DEPTH.replace("png", "npy"), np.asarray(values))
        path = root / "train_files.txt"
        path.write_text(path.read_text().replace(DEPTH, DEPTH.replace("png", "npy")))

    return write


def png(values: np.ndarray) -> Break:
    def write(root: Path) -> None:
        assert cv2.imwrite(str(root / DEPTH), values)

    return write


def cut(file: str, keep: float) -> Break:
    def write(root: Path) -> None:
        content = (root / file).read_bytes()
        (root / file).write_bytes(content[: int(keep * len(content))])

    return write


def flipped(root: Path) -> None:
    content = bytearray((root / DEPTH).read_bytes())
    content[len(content) // 2] ^= 1
    (root / DEPTH).write_bytes(content)


def metres(value: float, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full(size, value, np.float32)


def spotted(value: float) -> np.ndarray:
    found = metres(2.0)
    found[3, 5] = value
    return found


MAPS: dict[str, tuple[Break, str]] = {
    "another size": (
        png(np.full((48, 63), 2000, np.uint16)),
        r"the image `.*000\.jpg` is 64x48, its depth map `.*000\.png` 63x48",
    ),
    "8 bits": (png(np.full((48, 64), 200, np.uint8)), r"000\.png`: it has 8 bits of grey"),
    "colours": (
        png(np.full((48, 64, 3), 200, np.uint8)),
        r"000\.png`: it has 8 bits of RGB, not 16 bits of grey",
    ),
    "16-bit colours": (
        png(np.full((48, 64, 3), 2000, np.uint16)),
        r"000\.png`: it has 16 bits of RGB",
    ),
    "nothing measured": (
        png(np.zeros((48, 64), np.uint16)),
        r"nothing was measured in the depth map `.*000\.png`.*missing_truth=count",
    ),
    "too near": (
        png(np.full((48, 64), 3, np.uint16)),
        r"000\.png` fewer than half .* holds 1000 numbers a metre, .* 0\.003 m: set data\.unit",
    ),
    "truncated": (cut(DEPTH, 0.7), r"000\.png`: it is truncated or damaged: its end is missing"),
    "damaged": (flipped, r"000\.png`: it is truncated or damaged: a checksum is wrong"),
    "empty": (cut(DEPTH, 0), r"000\.png`: it is neither a PNG nor an NPY file"),
    "no PNG": (
        lambda root: (root / DEPTH).write_bytes((root / IMAGE).read_bytes()) and None,
        r"000\.png`: it is neither a PNG nor an NPY file",
    ),
    "NaN": (npy(spotted(np.nan)), r"000\.npy`: 1 of its numbers are NaN or infinite"),
    "infinity": (npy(spotted(np.inf)), r"000\.npy`: 1 of its numbers are NaN or infinite"),
    "minus infinity": (npy(spotted(-np.inf)), r"000\.npy`: 1 of its numbers are NaN or infinite"),
    "negative": (npy(spotted(-1.0)), r"000\.npy`: 1 of its numbers are negative; 0 is for"),
    "zeros": (npy(metres(0.0)), r"nothing was measured in the depth map `.*000\.npy`"),
    "millimetres": (
        npy(metres(2000.0)),
        r"000\.npy` fewer than half .* median is 2000 m: store metres",
    ),
    "whole numbers": (
        npy(np.full((48, 64), 2000, np.uint16)),
        r"000\.npy`: it holds uint16, where metres as floating-point numbers belong",
    ),
    "three channels": (
        npy(metres(2.0)[..., None].repeat(3, 2)),
        r"000\.npy`: it has the shape \(48, 64, 3\)",
    ),
    "objects": (npy(np.array([{}], object)), r"000\.npy`: it is truncated or no array"),
    "missing": (lambda root: (root / DEPTH).unlink(), r"1 of 6 images have no depth map"),
}


@pytest.mark.parametrize("what", MAPS)
def test_depth_maps(root: Path, what: str) -> None:
    damage, said = MAPS[what]
    assert len(folder(root, join_selection=True)) == 6
    damage(root)
    if what == "missing":
        with pytest.raises(DataError, match=said):
            folder(root)
        return
    refused(root, said)


def test_truncated_npy(root: Path) -> None:
    npy(metres(2.0))(root)
    cut(DEPTH.replace("png", "npy"), 0.5)(root)
    refused(root, r"000\.npy`: it is truncated or no array")


def test_other_kinds_of_files(root: Path) -> None:
    path = root / DEPTH
    path.rename(path.with_suffix(".exr"))
    listed = root / "train_files.txt"
    listed.write_text(listed.read_text().replace(DEPTH, DEPTH.replace("png", "exr")))
    path.with_suffix(".exr").write_bytes(b"v/1\x01")
    refused(root, r"000\.exr`: it is neither a PNG nor an NPY file")


def test_images(root: Path) -> None:
    cut(IMAGE, 0.6)(root)
    refused(root, r"cannot read the image `.*000\.jpg`: it is truncated or damaged")
    (root / IMAGE).write_text("<html>")
    refused(root, r"cannot read the image `.*000\.jpg`: it is no image")


@pytest.mark.parametrize("factor", [1e-3, 1e3])
@pytest.mark.parametrize("far", [4.0, 40.0])
def test_a_unit_that_is_off_by_a_thousand(tmp_path: Path, factor: float, far: float) -> None:
    """Indoors and outdoors, with the largest depth that is measured a little above."""
    for part in ("train", "test"):
        for k in range(2):
            image, depth = miniature.scene(k, (48, 64), far)
            write_image(tmp_path / f"{part}/{k}/rgb/0.png", image)
            write_depth(tmp_path / f"{part}/{k}/depth/0.png", depth, 1000)
    measure = {"max_depth": 2 * far}

    def opened(unit: float) -> DepthDataset:
        data = {"name": "folder", "root": tmp_path, "unit": unit}
        return DepthDataset(recipe(data, measure=measure), "test")

    assert len(opened(1000)) == 2
    with pytest.raises(DataError, match=r"a thousandth and ten times measure\.max_depth"):
        opened(1000 * factor)


def test_what_was_not_measured_says_nothing_of_the_unit(root: Path) -> None:
    """Nine tenths of the map are 0, the rest millimetres taken for metres."""
    values = np.zeros((48, 64), np.uint16)
    values[:5] = 2000
    png(values)(root)
    assert len(folder(root)) == 4
    with pytest.raises(DataError, match=r"holds 1 numbers a metre, their median is 2000 m"):
        folder(root, unit=1)


def test_a_unit_that_was_not_declared(root: Path) -> None:
    with pytest.raises(DataError, match=r"such as `train/sequence_\d/depth/00\d\.png`, is not dec"):
        folder(root, unit=None)
    write_folder(root.parent / "metres", kind="npy")
    assert len(folder(root.parent / "metres", unit=None)) == 4


def test_maps_without_use_are_left_out_and_counted(root: Path) -> None:
    png(np.zeros((48, 64), np.uint16))(root)
    data = folder(root, join_selection=True, missing_truth="count")
    assert data.info.skipped == {"nothing measured": 1} and len(data) == 5
    write_depth(root / "test/sequence_0/depth/001.png", metres(12.0), 1000)
    with pytest.raises(
        DataError, match=r"001\.png` has no pixel in the crop `none` between 0\.001"
    ):
        folder(root, "test")
    test = folder(root, "test", missing_truth="count")
    assert test.info.skipped == {"no pixel that counts": 1} and len(test) == 2
    for part in (root / "test").rglob("*.png"):
        write_depth(part, metres(12.0), 1000)
    with pytest.raises(DataError, match="no image is left of the split test"):
        folder(root, "test", missing_truth="count")


LISTS = {
    "empty": ("\n \n", r"the list `.*train_files\.txt` is empty"),
    "one word": (f"{IMAGE}\n", r"train_files\.txt` line 1: expected an image and its depth map"),
    "outside": (
        f"{IMAGE} {DEPTH}\n../x.jpg {DEPTH} 1\n",
        r"line 2: `\.\./x\.jpg` leads out of the data's folder",
    ),
    "outside below": (f"{IMAGE} train/../../x.png", r"line 1: `train/\.\./\.\./x\.png` leads out"),
    "twice": (f"{IMAGE} {DEPTH}\n{IMAGE} {DEPTH} 1\n", rf"lists `{IMAGE}` 2 times"),
    "no such image": (f"x.jpg {DEPTH}\n", r"1 of 1 images are missing, the first is `.*/x\.jpg`"),
    "no path of the system": ("/etc/passwd /etc/passwd", r"the first is `.*/set/etc/passwd`"),
}


@pytest.mark.parametrize("what", LISTS)
def test_lists(root: Path, what: str) -> None:
    text, said = LISTS[what]
    (root / "train_files.txt").write_text(text)
    refused(root, said)


def test_a_list_that_is_no_text(root: Path) -> None:
    (root / "train_files.txt").write_bytes(b"\xff\xfe\x00")
    refused(root, r"cannot read the list `.*train_files\.txt`")


def test_folders_that_are_not_clear(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set")
    np.save(root / DEPTH.replace("png", "npy"), metres(2.0))
    refused(root, r"has both 000\.npy and 000\.png; remove one")
    (root / DEPTH.replace("png", "npy")).unlink()
    (root / "training").mkdir()
    refused(root, r"has both train and training; remove one")
    (root / "training").rmdir()
    (root / "train/loop").symlink_to(root / "train", target_is_directory=True)
    refused(root, r"loop` is a second way to one folder; remove the link")


def test_settings_for_other_data_sets() -> None:
    with pytest.raises((RecipeError, ValueError), match="`unit` is for the data set folder"):
        recipe({"name": "nyuv2", "unit": 1000})
    with pytest.raises((RecipeError, ValueError), match="microworld has no `lists`"):
        recipe({"name": "microworld", "lists": {"training": "a", "test": "b"}})
