"""Lists that do not go together are refused, in one line that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tasks.classification.datasets import layout
from tasks.classification.datasets.reading import read
from tasks.contract import DataError
from tests.tasks.classification.datasets.miniature_files import write
from tests.tasks.classification.datasets.miniature_pickles import python2
from tests.tasks.classification.datasets.miniatures import make


def swap(path: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        assert old in text
        (root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return damage


def put(path: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / path).write_bytes(content) and None


def _json(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        content = json.loads((root / "train2018.json").read_bytes())
        change(content)
        (root / "train2018.json").write_text(json.dumps(content))

    return damage


def _flat_val(root: Path) -> None:
    write(root / "val/ILSVRC2012_val_00000001.JPEG", 0, 0)


def _fewer_labels(root: Path) -> None:
    path = root / "imagelabels.mat"
    savemat(path, {"labels": loadmat(path)["labels"][:, :17]})


def _labels_of_zero(root: Path) -> None:
    path = root / "imagelabels.mat"
    savemat(path, {"labels": loadmat(path)["labels"] - 1})


def _unlabelled(root: Path) -> None:
    found = np.array([[("00001.jpg", 3)]], dtype=[("fname", object), ("bbox_x1", object)])
    savemat(root / "cars_test_annos_withlabels.mat", {"annotations": found})


def _many_cars(root: Path) -> None:
    savemat(root / "devkit/cars_meta.mat", {"class_names": np.array([["A", "B"]], dtype=object)})


def _same_image(root: Path) -> None:
    train, test = (root / f"dtd/labels/{split}1.txt" for split in ("train", "test"))
    test.write_text(test.read_text() + train.read_text().splitlines()[0] + "\n")


CUB, VOC = "CUB_200_2011", "VOCdevkit/VOC2007/ImageSets/Main"
AIR = "fgvc-aircraft-2013b/data"
BROKEN: list[tuple[str, Callable[[Path], None], str]] = [
    ("food101", swap("food-101/meta/train.txt", "sushi/", "sashimi/"), "the class `sashimi`"),
    ("food101", put("food-101/meta/test.txt", b""), "is empty"),
    ("food101", put("food-101/meta/test.txt", b"\xff\xfe\x00"), "cannot read the list"),
    ("food101", swap("food-101/meta/classes.txt", "sushi", "waffles"), "`waffles` stands 2 times"),
    ("food101", swap("food-101/meta/classes.txt", "sushi", "tacos\nsushi"), "no training image"),
    ("cub200", swap(f"{CUB}/image_class_labels.txt", "4 1", "4 7"), "class id 7; expected 1 to 2"),
    ("cub200", swap(f"{CUB}/image_class_labels.txt", "4 1", "4 x"), "whole number, found 'x'"),
    ("cub200", swap(f"{CUB}/images.txt", "4 001", "11 001"), "do not list the same image ids"),
    ("cub200", swap(f"{CUB}/train_test_split.txt", "4 0", "4 2"), "1 for training, 0 for test"),
    ("cub200", swap(f"{CUB}/train_test_split.txt", "4 0", "4"), "line 4: expected 2 columns"),
    ("cub200", swap(f"{CUB}/train_test_split.txt", "4 0", "3 0"), "image id 3 twice"),
    ("cub200", swap(f"{CUB}/images.txt", "4 001", "4 ../001"), "leads out of the data set"),
    ("sun397", swap("SUN397/ClassName.txt", "/outdoor", ""), "apartment_building/outdoor`, which"),
    ("sun397", swap("SUN397/Testing_01.txt", "sun_test0", "sun_train0"), "in both train and test"),
    ("cars", _unlabelled, "no file names and classes"),
    ("cars", _many_cars, "class id 3; expected 1 to 2"),
    ("cars", put("devkit/cars_train_annos.mat", b"not one"), "cannot read the MATLAB file"),
    ("aircraft", swap(f"{AIR}/images_variant_val.txt", "F/A-18", "F/A-19"), "class `F/A-19`"),
    ("aircraft", swap(f"{AIR}/images_variant_val.txt", " 707-320", ""), "expected 2 columns"),
    ("voc2007", swap(f"{VOC}/cat_val.txt", "-1", "2"), "expected 1, -1 or 0, found '2'"),
    ("voc2007", swap(f"{VOC}/cat_test.txt", "000203", "000103"), "in their order"),
    ("dtd", swap("dtd/labels/test1.txt", "banded/", "bandaged/"), "class `bandaged`"),
    ("dtd", _same_image, "in both train and test, as 1 images are"),
    ("pets", swap("annotations/test.txt", "_100 1 ", "_100 2 "), "class id 2, which is `american"),
    ("pets", swap("annotations/trainval.txt", "Bengal_0 3", "Bengal_0 9"), "without gaps"),
    ("pets", swap("annotations/test.txt", "_100 1 ", "_100 4 "), "class id 4; expected 1 to 3"),
    ("flowers102", _fewer_labels, "`tstid` has image numbers outside of 1 to 17"),
    ("flowers102", _labels_of_zero, "class id 0; expected 1 to"),
    ("imagenet", _flat_val, "sorted into val/<class>/"),
    ("imagenet", lambda root: (root / "val/n09").mkdir(), "differ in their classes, as in `n09`"),
    ("inat2018", put("val2018.json", b"{"), "is no JSON"),
    ("inat2018", put("val2018.json", b"[]"), "no images and annotations"),
    ("inat2018", _json(lambda found: found["annotations"].pop()), "one annotation for each image"),
    ("inat2018", _json(lambda found: found["categories"].pop(1)), "from 0 without gaps"),
    ("inat2018", _json(lambda found: found["annotations"][0].update(category_id=3)), "category 3"),
    ("cog-l2", put("cog_levels_mapping_file.pkl", python2([[b"n1"]])), "a list of 5 levels"),
    ("cog-l2", put("cog_concepts_split_file.pkl", python2({b"n1": {}})), "has no `n20000001`"),
    (
        "cog-l1",
        put(
            "cog_concepts_split_file.pkl",
            python2({name: {b"train": [b"n9/a.JPEG"]} for name in (b"n10000001",)}),
        ),
        "lists `n9/a.JPEG` as an image of `n10000001`",
    ),
    (
        "cifar10",
        put("cifar-10-batches-py/test_batch", python2({b"data": [1], b"labels": [0]})),
        "expected 1 rows of 3072 bytes",
    ),
    (
        "cifar10",
        put(
            "cifar-10-batches-py/test_batch",
            python2({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}),
        ),
        "labels outside of 0 to 9",
    ),
]


@pytest.mark.parametrize(("name", "damage", "words"), BROKEN)
def test_broken_lists_are_refused(
    name: str, damage: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    make(name, tmp_path)
    read(name, tmp_path, partial=True)
    damage(tmp_path)
    with pytest.raises(DataError) as caught:
        read(name, tmp_path, partial=True)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_one_look_at_a_folder_finds_all_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        write(tmp_path / name, 0, 0)
    looks: list[Path] = []
    scandir = layout.os.scandir
    monkeypatch.setattr(layout.os, "scandir", lambda path: looks.append(path) or scandir(path))
    files = ["a/1.jpg", "b/2.jpg", "a/3.jpg", "c/1.jpg", "a/2.jpg"]
    assert layout.absent(tmp_path, files) == ["b/2.jpg", "a/3.jpg", "c/1.jpg"]
    assert sorted(looks) == [tmp_path / "a", tmp_path / "b"]
