"""The catalogue's counts and names against official lists, where these are at hand."""

from __future__ import annotations

import lzma
import shutil
from collections import Counter
from pathlib import Path

import pytest
from scipy.io import loadmat, savemat

from tasks.classification.datasets import layout
from tasks.classification.datasets.catalogue import PUBLICATIONS
from tasks.classification.datasets.reading import read
from tasks.contract import DataError

LISTS = Path(__file__).parents[5] / "shared/data/lists"

pytestmark = pytest.mark.skipif(
    not LISTS.is_dir(), reason=f"the official lists are not at hand ({LISTS})"
)


@pytest.fixture(autouse=True)
def without_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lists are the test: their images are not made."""
    monkeypatch.setattr(layout, "absent", lambda root, files: [])


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    for name in ("imagelabels.mat", "setid.mat"):
        shutil.copy(LISTS / "flowers102" / name, tmp_path)
    return tmp_path


def unpacked(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes())


def test_flowers_from_the_official_matlab_files(flowers: Path) -> None:
    # Not partial: counts, classes and images a class are compared with the catalogue.
    official = read("flowers102", flowers)
    assert official.val is not None
    for name, part in (("train", official.train), ("val", official.val), ("test", official.test)):
        path = LISTS / f"flowers102/{name}.txt"
        lines = path.read_text() if path.is_file() else unpacked(Path(f"{path}.xz")).decode()
        pairs = [(line.split()[0], int(line.split()[1]) - 1) for line in lines.splitlines()]
        found = [(part.images.name(row), int(label)) for row, label in enumerate(part.labels)]
        assert sorted(found) == sorted((f"jpg/{image}", label) for image, label in pairs)
    names = (LISTS / "flowers102/classnames.txt").read_text().splitlines()
    assert len(official.class_names) == len(names) == 102


def test_flowers_with_train_and_test_exchanged_are_refused(flowers: Path) -> None:
    found = loadmat(flowers / "setid.mat")
    names = {"trnid": "tstid", "valid": "valid", "tstid": "trnid"}
    savemat(flowers / "setid.mat", {name: found[other] for name, other in names.items()})
    with pytest.raises(DataError, match="expected 1020 images in train, found 6149"):
        read("flowers102", flowers)


def test_food101_from_the_official_lists(tmp_path: Path) -> None:
    meta = tmp_path / "meta"
    meta.mkdir()
    shutil.copy(LISTS / "food101/classes.txt", meta)
    for split in ("train", "test"):
        (meta / f"{split}.txt").write_bytes(unpacked(LISTS / f"food101/{split}.txt.xz"))
    official = read("food101", tmp_path)
    assert official.class_names[:2] == ("apple_pie", "baby_back_ribs")
    assert set(Counter(official.test.labels.tolist()).values()) == {250}
    name = official.train.images.name(0)
    assert name.split("/")[1] == official.class_names[official.train.labels[0]]


@pytest.mark.parametrize(
    ("file", "name", "others"),
    [
        ("stanford_cars_classnames.txt", "cars", 0),
        ("pets37_classnames.txt", "pets", 0),
        # The background is none of ours.
        ("caltech101_classnames.txt", "caltech101", 1),
        ("food101/classes.txt", "food101", 0),
    ],
)
def test_number_of_classes(file: str, name: str, others: int) -> None:
    names = (LISTS / file).read_text(encoding="utf-8").splitlines()
    assert len(set(names)) - others == PUBLICATIONS[name].classes
