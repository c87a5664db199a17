"""The images that encoders are looked at with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.analysis.images import open_images
from harness.errors import UserError
from tasks.contract import DataError


def folder_of(root: Path, count: int, size: tuple[int, int] = (40, 60)) -> Path:
    """A folder of images (height, width), each of one colour, in two folders of classes."""
    for i in range(count):
        path = root / ("a" if i < count // 2 else "b") / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1], (i, 2 * i, 255 - i)).save(path)
    return root


def test_a_batch_is_rgb_between_0_and_1_in_the_order_of_the_paths(tmp_path: Path) -> None:
    found = open_images(str(folder_of(tmp_path, 4)), None, (32, 32))
    batch = found.batch(1, 4)
    assert tuple(batch.shape) == (3, 3, 32, 32)
    for k, i in enumerate((1, 2, 3)):
        expected = np.array([i, 2 * i, 255 - i], np.float32) / 255
        assert np.allclose(batch[k].mean(dim=(1, 2)).numpy(), expected, atol=1e-6)


def test_the_middle_is_taken_without_distortion(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    for name in "ab":
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    assert open_images(str(tmp_path), None, (20, 20)).batch(0, 1).min() == 1


def test_fewer_images_than_there_are_come_from_all_of_the_folder(tmp_path: Path) -> None:
    found = open_images(str(folder_of(tmp_path, 8)), 4, (16, 16))
    blues = [255 - round(255 * float(found.batch(i, i + 1)[0, 2].mean())) for i in range(4)]
    assert blues == [0, 2, 4, 6]


def test_the_hash_is_of_the_pixels_and_of_the_size(tmp_path: Path) -> None:
    root = folder_of(tmp_path, 3)
    first = open_images(str(root), None, (16, 16)).sha256
    assert open_images(str(root), None, (16, 16)).sha256 == first
    assert open_images(str(root), None, (16, 24)).sha256 != first
    Image.new("RGB", (60, 40), (9, 9, 9)).save(root / "b" / "002.png")
    assert open_images(str(root), None, (16, 16)).sha256 != first


@pytest.mark.parametrize(
    ("count", "there", "says"),
    [(None, 1, "has 1 images"), (None, 0, "has 0 images"), (5, 3, "ask for fewer"), (1, 3, "two")],
)
def test_too_few_images_are_refused(
    tmp_path: Path, count: int | None, there: int, says: str
) -> None:
    folder_of(tmp_path, there)
    with pytest.raises(UserError, match=says):
        open_images(str(tmp_path), count, (16, 16))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="microworld"):
        open_images(str(tmp_path / "none"), None, (16, 16))


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    root = folder_of(tmp_path, 4)
    broken = root / "b" / "003.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match=r"003\.png"):
        open_images(str(root), None, (16, 16)).batch(0, 4)


def test_the_world_gives_scenes_and_object_views_of_its_test_range() -> None:
    found = open_images("microworld", 4, (32, 32))
    assert len(found) == 4
    assert found.name == "microworld"
    assert tuple(found.batch(0, 4).shape) == (4, 3, 32, 32)
