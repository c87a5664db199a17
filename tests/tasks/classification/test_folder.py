"""Folders of images: what is read, and what is refused, in which words."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.classification.datasets import folder
from tasks.classification.datasets.contract import Official
from tasks.classification.datasets.files import Files, readable
from tasks.contract import DataError

FLOWERS = Path(__file__).parents[3] / "../shared/data/flowers17"
COUNTS = {"train": {"cat": 3, "dog": 2}, "val": {"cat": 1, "dog": 1}, "test": {"cat": 1, "dog": 2}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes in three splits, each image of its own colour."""
    number = 0
    for split, classes in COUNTS.items():
        for name, count in classes.items():
            (tmp_path / split / name).mkdir(parents=True)
            for image in range(count):
                number += 1
                save(tmp_path / split / name / f"{image}.png", number)
    return tmp_path


def save(path: Path, level: int, size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 0, 0)).save(path)


def names(found: Official, part: str = "train") -> list[str]:
    images = getattr(found, part).images
    return [images.name(row) for row in range(len(images))]


def test_a_folder_is_read(root: Path) -> None:
    save(root / "train/cat/deep/er/z.jpg", 90)
    found = folder.read(root)
    assert found.class_names == ("cat", "dog")
    cats = [f"train/cat/{name}" for name in ("0.png", "1.png", "2.png", "deep/er/z.jpg")]
    assert names(found) == [*cats, "train/dog/0.png", "train/dog/1.png"]
    assert found.train.labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.val is not None and found.val.labels.tolist() == [0, 1]
    assert found.test.labels.tolist() == [0, 1, 1] and found.test.labels.dtype == np.int64
    assert found.skipped == {} and found.notes == ()
    pixels = found.test.images.read(0)
    assert pixels.shape == (4, 6, 3) and pixels[0, 0].tolist() == [8, 0, 0]
    images = pickle.loads(pickle.dumps(found.train.images))
    assert images == found.train.images and images.size(0) == len(images.content(0))
    assert images.content(0).endswith(images.end(0, 20)) and len(images.end(0, 20)) == 20
    assert images.end(0, 10**6) == images.content(0)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_the_selection_folder_has_three_names(root: Path, name: str) -> None:
    (root / "val").rename(root / name)
    found = folder.read(root)
    assert found.val is not None and names(found, "val")[0] == f"{name}/cat/0.png"


def test_without_val_selection_is_left_to_be_held_out(root: Path) -> None:
    shutil.rmtree(root / "val")
    found = folder.read(root)
    assert found.val is None and len(found.test.images) == 3 and found.notes == ()


def test_without_test_val_is_the_test(root: Path) -> None:
    shutil.rmtree(root / "test")
    found = folder.read(root)
    assert found.val is None and names(found, "test") == ["val/cat/0.png", "val/dog/0.png"]
    assert found.notes == ("no `test`: `val` is the test, selection is held out of `train`",)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (["train"], "no folder `train`; expected ROOT/train/CLASS"),
        (["val", "test"], "no folder `test`; expected ROOT/train/CLASS"),
        (["."], "there is no folder `.*`; expected ROOT/train/CLASS"),
        (["train/cat", "train/dog"], "`.*/train` has no class folder; expected ROOT/train"),
        (["test/cat", "test/dog"], "`.*/test` has no class folder; expected ROOT/train"),
        (["train/cat", "val/cat", "test/cat"], "train` has images of one class, `dog`; two are"),
    ],
)
def test_another_layout_is_named(root: Path, gone: list[str], message: str) -> None:
    for path in gone:
        shutil.rmtree(root / path)
    with pytest.raises(DataError, match=message):
        folder.read(root)


def test_two_selection_folders_are_refused(root: Path) -> None:
    shutil.copytree(root / "val", root / "valid")
    with pytest.raises(DataError, match="has `val` and `valid`, both for selection; keep one"):
        folder.read(root)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("inside", [None, "Thumbs.db", ".hidden.png", "deeper/still/readme.txt"])
def test_an_empty_class_folder_is_refused(root: Path, split: str, inside: str | None) -> None:
    empty = root / split / "cat"
    shutil.rmtree(empty)
    empty.mkdir()
    if inside:
        (empty / inside).parent.mkdir(parents=True, exist_ok=True)
        (empty / inside).touch()
    with pytest.raises(DataError, match=f"the class folder `.*/{split}/cat` has no image; put"):
        folder.read(root)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_train_lacks_is_refused(root: Path, split: str) -> None:
    save(root / split / "emu/0.png", 99)
    save(root / split / "emu/1.png", 98)
    with pytest.raises(DataError, match=f"/{split}` has `emu`, which `train` lacks: 2 images of"):
        folder.read(root)


def test_a_class_that_test_lacks_is_noted(root: Path) -> None:
    for number, name in enumerate(("ant", "bee", "emu", "fly")):
        save(root / f"train/{name}/0.png", 50 + number)
        save(root / f"val/{name}/0.png", 60 + number)
    found = folder.read(root)
    note = "`test` has no image of 4 of 6 classes: `ant`, `bee`, `emu` and 1 more"
    assert found.notes == (note,)
    assert found.test.labels.tolist() == [2, 3, 3] and found.class_names[2:4] == ("cat", "dog")


def test_what_is_no_image_is_counted_and_named(root: Path) -> None:
    for path in ("train/cat/Thumbs.db", "train/labels.txt", "val/dog/.DS_Store", "train/noext"):
        (root / path).touch()
    (root / "train/.ipynb_checkpoints").mkdir()
    save(root / "train/.ipynb_checkpoints/cat.png", 70)
    save(root / "test/stray.PNG", 71)
    save(root / "unlabelled/a.png", 72)
    found = folder.read(root)
    assert found.class_names == ("cat", "dog") and len(found.train.images) == 5
    assert found.skipped == {
        "hidden file or folder": 2,
        "file without an image's ending": 3,
        "image outside the class folders": 1,
    }
    assert found.notes[0] == "no split and not read: `unlabelled`"
    assert set(found.notes[1:]) == {
        "left out: `train/.ipynb_checkpoints/`, `val/dog/.DS_Store` (hidden file or folder)",
        "left out: `train/cat/Thumbs.db`, `train/labels.txt`, `train/noext` (file without an "
        "image's ending)",
        "left out: `test/stray.PNG` (image outside the class folders)",
    }


def test_one_image_in_two_splits_is_refused(root: Path) -> None:
    shutil.copy(root / "train/cat/0.png", root / "test/dog/again.png")
    shutil.copy(root / "train/cat/1.png", root / "val/cat/again.png")
    with pytest.raises(
        DataError,
        match=r"`train/cat/0\.png` and `test/dog/again\.png` \(and 1 more\); remove one of them, "
        r"or keep and count them with --set data\.duplicates=count",
    ):
        folder.read(root)
    found = folder.read(root, duplicates="count")
    assert len(found.test.images) == 4 and "train/cat/1.png` and `val/cat/ag" in found.notes[0]


def test_one_image_twice_in_a_split_is_noted(root: Path) -> None:
    shutil.copy(root / "train/cat/0.png", root / "train/cat/again.png")
    shutil.copy(root / "train/cat/0.png", root / "train/dog/again.png")
    found = folder.read(root)
    assert len(found.train.images) == 7
    assert found.notes == (
        "repeated within `train`: 2 images",
        "one image under two labels: `train/cat/0.png` and `train/dog/again.png`",
    )


def test_unreadable_images_are_named_when_they_are_read(root: Path) -> None:
    whole = (root / "train/cat/0.png").read_bytes()
    (root / "train/cat/0.png").write_bytes(whole[:-20])
    (root / "train/cat/1.png").write_bytes(b"<html>")
    (root / "train/dog/0.png").write_bytes(b"")
    found = folder.read(root)
    told: list[int] = []
    kept = readable(found.train.images, range(5), lambda done, _: told.append(done))
    assert kept.tolist() == [False, False, True, False, True] and told == [1, 2, 3, 4, 5]
    assert readable(found.train.images, [4, 1]).tolist() == [True, False]
    with pytest.raises(
        DataError,
        match=r"cannot read the image `.*/train/cat/0\.png`: it is truncated .*; mend or remove "
        r"it, or leave such images out, counted, with --set data\.skip_unreadable=true",
    ):
        found.train.images.read(0)


@pytest.mark.parametrize("target", ["nowhere.png", "broken.png"])
def test_broken_links_are_named(root: Path, target: str) -> None:
    """One to nothing, and one to itself."""
    (root / "train/cat/broken.png").symlink_to(target)
    images = folder.read(root).train.images
    row = [images.name(row) for row in range(len(images))].index("train/cat/broken.png")
    for look in (images.size, images.read):
        with pytest.raises(DataError, match=r"/train/cat/broken\.png` is a broken link: .*skip_un"):
            look(row)
    assert readable(images, range(6)).tolist() == [True] * 3 + [False] + [True] * 2


def test_links_are_followed(root: Path) -> None:
    save(root / "store/emu/a.png", 80)
    (root / "train/emu").symlink_to(root / "store/emu")
    (root / "train/cat/b.png").symlink_to("0.png")
    found = folder.read(root)
    assert found.class_names == ("cat", "dog", "emu") and names(found)[-1] == "train/emu/a.png"
    assert found.train.images.read(6)[0, 0, 0] == 80
    assert "repeated within `train`: 1 image" in found.notes


def test_a_link_loop_ends(root: Path) -> None:
    (root / "train/cat/again").symlink_to(root / "train")
    with pytest.raises(DataError, match="cat/again` is a link to a folder that it lies in; remove"):
        folder.read(root)


def test_names_that_are_not_utf8(root: Path) -> None:
    strange = root / "train" / os.fsdecode(b"caf\xe9")
    strange.mkdir()
    (strange / os.fsdecode(b"\xff\n.png")).write_bytes((root / "train/cat/0.png").read_bytes()[:50])
    found = folder.read(root)
    assert found.class_names[0] == r"caf\xe9"
    assert names(found)[0] == r"train/caf\xe9/\xff\u000a.png"
    assert found.train.images.size(0) == 50
    with pytest.raises(DataError) as caught:
        found.train.images.read(0)
    assert r"train/caf\xe9/\xff\u000a.png`: it is " in str(caught.value)
    assert "\n" not in str(caught.value) and str(caught.value).encode()


def test_one_pixel(root: Path) -> None:
    save(root / "train/cat/one.png", 77, (1, 1))
    images = folder.read(root).train.images
    assert images.read(3).tolist() == [[[77, 0, 0]]]


@pytest.mark.skipif(not FLOWERS.is_dir(), reason="no flowers beside the repository")
def test_flowers() -> None:
    found = folder.read(FLOWERS)
    assert found.val is not None and len(found.class_names) == 17
    assert [len(part.images) for part in (found.train, found.val, found.test)] == [408, 136, 272]
    for part, count in ((found.train, 24), (found.val, 8), (found.test, 16)):
        assert np.bincount(part.labels).tolist() == [count] * 17
    assert found.skipped == {} and found.notes == ()
    assert isinstance(found.train.images, Files)
    assert readable(found.train.images, range(0, 408, 40)).all()
