"""The sheet shows what is predicted beside what is annotated."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.detection.constant import ConstantBoxes
from tasks.detection.data import DetectionDataset
from tasks.detection.drawing import COLOURS, MOST, SIDE, Drawn, draw, picture, pictures
from tests.tasks.detection import miniature

GREY = np.full((40, 80, 3), 128, np.uint8)


def dataset(root: Path, name: Any = "folder") -> DetectionDataset:
    return DetectionDataset(miniature.recipe(name=name, root=root), "training")


def rows(data: DetectionDataset, score: float = 0.9) -> list[dict[str, Any]]:
    """Every annotated object, found exactly."""
    found = []
    for index in range(len(data)):
        objects = data.annotations.objects
        objects = objects.take(objects.image == index)
        width, height = data.annotations.images.sizes[index].tolist()
        found.append(
            {
                "sample": index,
                "image_id": int(data.annotations.images.ids[index]),
                "height": height,
                "width": width,
                "boxes": objects.boxes.flatten().tolist(),
                "scores": [score] * len(objects),
                "categories": objects.category.tolist(),
                "masks": [m["counts"].decode() for m in objects.masks if m is not None],
            }
        )
    return found


def test_an_object_is_drawn_where_it_is() -> None:
    mask: Any = None
    pixels = np.asarray(picture(GREY, [Drawn([20, 10, 40, 20], 1, mask, "", True)]))
    assert pixels.shape == (SIDE // 2, SIDE, 3)
    scale = SIDE // 80
    edges = np.argwhere((pixels == COLOURS[1]).all(-1))
    assert edges.min(0).tolist() == [10 * scale, 20 * scale]
    assert edges.max(0).tolist() == [30 * scale - 1, 60 * scale - 1]
    assert (pixels[20 * scale, 40 * scale] == 128).all()


def test_a_mask_colours_its_pixels_alone(tmp_path: Path) -> None:
    data = dataset(miniature.folder(tmp_path))
    mask = data.annotations.objects.masks[0]
    assert mask is not None
    grey = np.full((50, 60, 3), 128, np.uint8)
    plain = np.asarray(picture(grey, [Drawn([0, 0, 1, 1], 0, None, "", False)]))
    shown = np.asarray(picture(grey, [Drawn([0, 0, 1, 1], 0, mask, "", False)]))
    from tasks.detection.masks import decode

    share = (plain != shown).any(-1).mean()
    assert share == pytest.approx(decode(mask).mean(), rel=0.05)


def test_faint_predictions_are_thin() -> None:
    def drawn(sure: bool) -> int:
        pixels = np.asarray(picture(GREY, [Drawn([20, 10, 40, 20], 1, None, "", sure)]))
        return int((pixels == COLOURS[1]).all(-1).sum())

    assert drawn(True) > 1.5 * drawn(False) > 0


def test_words_stay_within_the_picture() -> None:
    corner = Drawn([70, 35, 10, 5], 2, None, "a long name of a class 0.99", True)
    pixels = np.asarray(picture(GREY, [corner]))
    assert (pixels == COLOURS[2]).all(-1)[:, : SIDE * 3 // 4].any()


@pytest.mark.parametrize("name", ["folder", "voc"])
def test_prediction_and_truth_are_side_by_side(tmp_path: Path, name: str) -> None:
    data = dataset(getattr(miniature, name)(tmp_path), name)
    found = rows(data)
    sheet = np.asarray(draw(found, data))
    again = np.asarray(draw(found[::-1], data))
    assert np.array_equal(sheet, again)
    # The truth stays what it is, the prediction does not.
    nothing = [{**row, "boxes": [], "scores": [], "categories": [], "masks": []} for row in found]
    empty = np.asarray(draw(nothing, data))
    changed = np.flatnonzero((sheet != empty).any((0, 2)))
    left, right = 8, 8 + SIDE
    assert changed.min() >= left and changed.min() < right
    middle = (sheet != empty)[:, right + 2 : right + 2 + SIDE]
    assert not middle.any()


def test_only_the_best_predictions_are_drawn(tmp_path: Path) -> None:
    data = dataset(miniature.folder(tmp_path))
    row = rows(data)[0]
    many = {**row, "boxes": row["boxes"][:4] * 30, "scores": [k / 30 for k in range(30)]}
    many |= {"categories": [0] * 30, "masks": row["masks"][:1] * 30}
    best = {
        key: value[-MOST:] if key in ("scores", "categories", "masks") else value
        for key, value in many.items()
    }
    best["boxes"] = many["boxes"][-4 * MOST :]
    assert np.array_equal(np.asarray(draw([many], data)), np.asarray(draw([best], data)))


def test_pictures_of_a_run(tmp_path: Path) -> None:
    data = dataset(miniature.folder(tmp_path))
    gallery = pictures(rows(data), data, "a run")
    assert list(gallery.images) == ["samples"]
    assert gallery.notes[0].startswith("a run: the first 3 of 3 images")
    with pytest.raises(DataError, match="1 of 3 samples have no prediction"):
        pictures(rows(data)[1:], data, "a run")


def test_the_constant_list_is_drawn(tmp_path: Path) -> None:
    import torch

    data = dataset(miniature.folder(tmp_path))
    size = torch.from_numpy(data.annotations.images.sizes[:, ::-1].copy())
    batch = {"index": torch.arange(3), "image_id": torch.arange(3), "image_size": size}
    found = ConstantBoxes(data.clusters(), True).predict(batch)
    assert draw(found, data).size[0] > 4 * SIDE
