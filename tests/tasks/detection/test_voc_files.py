"""Pascal VOC folders: what the files say, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.detection.annotations import Annotations
from tasks.detection.data import DetectionDataset
from tests.tasks.detection import miniature

OFFICIAL = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)


def opened(root: Path, split: Any = "training", **data: Any) -> DetectionDataset:
    return DetectionDataset(miniature.recipe(name="voc", root=root, **data), split)


def annotations(root: Path, **data: Any) -> Annotations:
    return opened(root, **data).annotations


def test_corners_count_from_1_and_belong_to_the_object(tmp_path: Path) -> None:
    found = annotations(miniature.voc(tmp_path))
    assert found.objects.boxes[0].tolist() == [10, 5, 20, 40]
    assert found.objects.boxes[1].tolist() == [0, 0, 60, 50]
    assert found.objects.areas[:2].tolist() == [800, 3000]
    assert found.images.files[0] == "train_000000.jpg"
    assert found.images.sizes[0].tolist() == [60, 50]
    assert found.objects.masks == ()


def test_difficult_objects_are_neither_trained_on_nor_missed(tmp_path: Path) -> None:
    dataset = opened(miniature.voc(tmp_path))
    assert dataset.annotations.objects.crowd.tolist() == [False, True] * 4
    item = dataset.item(0, None)
    assert len(item["boxes"].values) == 1 and len(item["crowd"].values) == 1
    assert item["labels"].values.tolist() == [dataset.annotations.categories.index("dog")]
    assert "masks" not in item


def test_classes_are_those_of_all_splits(tmp_path: Path) -> None:
    """A class that one split alone has is known, and numbered the same, in the others."""
    miniature.voc(tmp_path)
    assert annotations(tmp_path).categories == ("cat", "dog")
    miniature.annotate(tmp_path, "test_000002", [("ant", (1, 1, 9, 9), 0)])
    for split in ("training", "selection", "test"):
        found = opened(tmp_path, split).annotations
        assert found.categories == ("ant", "cat", "dog")
        assert found.category_ids.tolist() == [1, 2, 3]
    # A test set of which the annotations are not published.
    for path in (tmp_path / "Annotations").glob("test_*.xml"):
        path.unlink()
    assert annotations(tmp_path).categories == ("cat", "dog")
    with pytest.raises(DataError, match=r"cannot read .*test_000000.xml: No such file"):
        opened(tmp_path, "test")


def test_the_twenty_classes_are_in_the_official_order(tmp_path: Path) -> None:
    miniature.voc(tmp_path)
    names = OFFICIAL.split()
    every = [(name, (1, 1, 9, 9), 0) for name in np.random.default_rng(0).permutation(names)]
    miniature.annotate(tmp_path, "val_000000", every)
    assert annotations(tmp_path).categories == tuple(names)


def test_lists_and_folders_of_other_names(tmp_path: Path) -> None:
    """A folder of several years, and images that are no JPEG."""
    miniature.voc(tmp_path / "VOC2007")
    (tmp_path / "VOC2007/JPEGImages/train_000000.jpg").unlink()
    miniature.draw(tmp_path / "VOC2007/JPEGImages/train_000000.png", 60, 50, 0)
    lists = {
        split: f"VOC2007/ImageSets/Main/{name}.txt"
        for split, name in (("training", "train"), ("selection", "val"), ("test", "test"))
    }
    folders = dict.fromkeys(lists, "VOC2007/JPEGImages")
    dataset = opened(tmp_path, annotations=lists, images=folders)
    assert dataset.annotations.images.files[0] == "train_000000.png"
    assert dataset.item(0, None)["image"].shape == (3, 64, 64)


NAME = "train_000001"


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((10, 10, 9, 30), "object 1 of .*train_000001.xml has a box of no area"),
        ((61, 1, 80, 9), "object 1 of .*train_000001.xml has a box outside its image of 60x50"),
        ((50, 1, 70, 9), "object 1 of .*train_000001.xml has a box that reaches out of its image"),
        (("nan", 1, 70, 9), "object 1 of .*train_000001.xml has the box .nan"),
        (("a", 1, 70, 9), "object 1 of .*train_000001.xml has the corners .'a'"),
    ],
)
def test_bad_boxes(tmp_path: Path, box: Any, message: str) -> None:
    miniature.voc(tmp_path)
    miniature.annotate(tmp_path, NAME, [("dog", box, 0), ("dog", (1, 1, 9, 9), 0)])
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)
    found = opened(tmp_path, repair=True)
    assert sum(found.info.skipped.values()) == 1
    assert len(found.annotations.objects) == (8 if box == (50, 1, 70, 9) else 7)


def test_a_difficult_flag_of_another_kind_is_refused_or_taken_as_difficult(tmp_path: Path) -> None:
    miniature.voc(tmp_path)
    objects = [("dog", (1, 1, 9, 9), "yes"), ("dog", (1, 1, 9, 9), 0)]
    miniature.annotate(tmp_path, NAME, objects)
    with pytest.raises(DataError, match=r"object 1 of .*train_000001.xml is `difficult` 'yes'"):
        opened(tmp_path)
    found = annotations(tmp_path, repair=True).objects
    assert found.crowd[found.image == 1].tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "train_000001.xml is not valid XML: .*; is the file complete"),
        ("", "train_000001.xml is not valid XML"),
        ("<annotation/>", r"train_000001.xml has the size \[None, None\]"),
        ("<a><size><width>0</width><height>5</height></size></a>", r"has the size \['0', '5'\]"),
        ("<a><object><bndbox/></object></a>", "train_000001.xml has an object without a name"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    miniature.voc(tmp_path)
    (tmp_path / f"Annotations/{NAME}.xml").write_text(text)
    with pytest.raises(DataError, match=message):
        opened(tmp_path, repair=True)


def test_lists_that_are_none(tmp_path: Path) -> None:
    path = miniature.voc(tmp_path) / "ImageSets/Main/train.txt"
    path.write_text("train_000000\ntrain_000000\n")
    with pytest.raises(DataError, match=r"train.txt: image 'train_000000' is listed twice"):
        opened(tmp_path)
    assert len(opened(tmp_path, repair=True)) == 1
    path.write_text("\n")
    with pytest.raises(DataError, match=r"train.txt: no image is listed"):
        opened(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"train.txt is no list of names"):
        opened(tmp_path)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    miniature.voc(tmp_path)
    miniature.draw(tmp_path / "JPEGImages/train_000000.png", 60, 50, 0)
    with pytest.raises(DataError, match=r"two images of one name, train_000000.jpg and .*png"):
        opened(tmp_path)
