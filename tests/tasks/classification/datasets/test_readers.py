"""Each reader on a miniature of its official layout: labels, splits, names, order, pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tasks.classification.datasets import aircraft, caltech101
from tasks.classification.datasets.arrays import Arrays
from tasks.classification.datasets.catalogue import KORNBLITH12, PUBLICATIONS
from tasks.classification.datasets.contract import Part
from tasks.classification.datasets.reading import parts, read
from tasks.contract import DataError
from tests.tasks.classification.datasets.miniature_files import SIZE, colour
from tests.tasks.classification.datasets.miniatures import CALTECH_COUNTS, make

OFFICIAL_VAL = {"aircraft", "voc2007", "dtd", "flowers102"}


def listed(part: Part) -> list[tuple[str, object]]:
    return [(part.images.name(row), part.labels[row].tolist()) for row in range(len(part.images))]


@pytest.mark.parametrize("name", [name for name in PUBLICATIONS if name != "caltech101"])
def test_reader_finds_what_was_written(name: str, tmp_path: Path) -> None:
    truth = make(name, tmp_path)
    official = read(name, tmp_path, partial=True)
    assert official.class_names == truth.class_names
    found = parts(official)
    assert list(found) == list(truth.parts)
    assert ("val" in found) == (name in OFFICIAL_VAL)
    for split, part in found.items():
        assert listed(part) == truth.parts[split]
        assert part.labels.dtype == np.int64
        assert part.labels.ndim == (2 if name == "voc2007" else 1)


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_images_are_those_of_their_class(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    for part in parts(read(name, tmp_path, partial=True)).values():
        for row in range(len(part.images)):
            # VOC's images have the colour of the first of their two classes, modulo 20.
            label = part.labels[row] if part.labels.ndim == 1 else row
            image = part.images.read(row)
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert np.abs(image.mean((0, 1)) - colour(int(label))).max() < 4
            assert len(part.images.content(row)) == part.images.size(row)


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_a_part_of_the_data_set_is_refused_unless_asked_for(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    with pytest.raises(DataError, match=r"expected \d+ (images|classes).*data\.partial=true"):
        read(name, tmp_path)


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_nothing_there_says_what_is_expected_and_where_to_get_it(name: str, tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError) as caught:
            read(name, root)
        said = str(caught.value)
        assert PUBLICATIONS[name].layout in said
        assert PUBLICATIONS[name].source in said
        assert "\n" not in said


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_a_missing_image_or_batch_is_named(name: str, tmp_path: Path) -> None:
    truth = make(name, tmp_path)
    if name == "caltech101":
        (tmp_path / "101_ObjectCategories/Faces").rename(tmp_path / "Faces")
        (tmp_path / "101_ObjectCategories/Faces").mkdir()
        expected = "Faces"
    elif name.startswith("cifar"):
        expected = next(iter(truth.parts["test"]))[0].split("/")[0]
        next(tmp_path.rglob(expected)).unlink()
    elif name == "imagenet":
        # A folder without its images: nothing lists them.
        for path in (tmp_path / "train/n02084071").iterdir():
            path.unlink()
        expected = "n02084071"
    else:
        expected = Path(truth.parts["test"][1][0]).name
        next(
            path for path in tmp_path.rglob(expected) if "test" in str(path) or name != "cars"
        ).unlink()
    with pytest.raises(DataError, match=expected):
        read(name, tmp_path, partial=True)


def test_a_root_that_holds_several_data_sets(tmp_path: Path) -> None:
    for name in ("cub200", "dtd"):
        make(name, tmp_path / name)
    assert len(read("cub200", tmp_path, partial=True).train.images) == 6
    assert len(read("dtd", tmp_path, partial=True).test.images) == 6
    # And the folder that came out of the archive itself.
    assert len(read("cub200", tmp_path / "cub200/CUB_200_2011", partial=True).train.images) == 6


def test_aircraft_images_are_cut_and_short_ones_refused(tmp_path: Path) -> None:
    make("aircraft", tmp_path)
    images = read("aircraft", tmp_path, partial=True).val.images  # type: ignore[union-attr]
    assert isinstance(images, aircraft.WithoutBanner)
    whole = images.whole.read(0)
    assert images.read(0).shape == (SIZE[0] - 20, SIZE[1], 3)
    assert np.array_equal(images.read(0), whole[: SIZE[0] - 20])
    short = aircraft.WithoutBanner(Arrays(np.zeros((1, 3, 20, 5), np.uint8), ("a",)))
    with pytest.raises(DataError, match="`a` is 20 pixels high"):
        short.read(0)


def test_cifar_rows_are_planes_of_colour(tmp_path: Path) -> None:
    make("cifar10", tmp_path)
    images = read("cifar10", tmp_path, partial=True).test.images
    row = np.frombuffer(images.content(3), np.uint8)
    image = images.read(3)
    assert image.shape == (32, 32, 3)
    # Red, then green, then blue, each a row of pixels after the other.
    assert image[2, 5].tolist() == [row[2 * 32 + 5], row[1024 + 2 * 32 + 5], row[2048 + 2 * 32 + 5]]


def test_caltech_split_is_thirty_a_class_and_no_background(tmp_path: Path) -> None:
    truth = make("caltech101", tmp_path)
    official = read("caltech101", tmp_path, partial=True)
    assert official.class_names == truth.class_names
    train, test = listed(official.train), listed(official.test)
    assert np.bincount(official.train.labels).tolist() == [30, 30]
    assert len(test) == CALTECH_COUNTS["Faces"] + CALTECH_COUNTS["accordion"] - 60
    assert sorted(train + test) == sorted(truth.parts["all"])
    # Fixed for good: figures measured on another draw would not be comparable.
    assert [Path(name).stem[-2:] for name, _ in test] == ["08", "23", "24", "05", "09"]
    ranks = {
        name: hashlib.sha256(f"0/{name}".encode()).hexdigest() for name, _ in truth.parts["all"]
    }
    for label in (0, 1):
        last = max(ranks[name] for name, found in train if found == label)
        assert all(ranks[name] > last for name, found in test if found == label)


def test_caltech_split_of_a_class_does_not_depend_on_the_others(tmp_path: Path) -> None:
    make("caltech101", tmp_path)
    before = listed(read("caltech101", tmp_path, partial=True).test)
    folder = tmp_path / "101_ObjectCategories"
    (folder / "Faces").rename(tmp_path / "Faces")
    after = listed(read("caltech101", tmp_path, partial=True).test)
    assert [name for name, _ in after] == [name for name, label in before if label == 1]
    for path in list((folder / "accordion").iterdir())[: 32 - caltech101.TRAINING]:
        path.unlink()
    with pytest.raises(DataError, match="has 30 images; expected more than the 30"):
        read("caltech101", tmp_path, partial=True)


def test_kornblith12_are_twelve_of_the_catalogue() -> None:
    assert len(set(KORNBLITH12)) == 12
    assert set(KORNBLITH12) <= set(PUBLICATIONS)
    assert PUBLICATIONS["voc2007"].figure == "map11"
    per_class = {name for name in PUBLICATIONS if PUBLICATIONS[name].figure == "mean_per_class"}
    assert per_class == {"aircraft", "pets", "caltech101", "flowers102"}


def test_inaturalist_names_that_come_twice_get_their_numbers(tmp_path: Path) -> None:
    make("inat2018", tmp_path)
    path = tmp_path / "train2018.json"
    path.write_text(path.read_text().replace("Amanita muscaria", "Quercus alba"))
    names = read("inat2018", tmp_path, partial=True).class_names
    assert names == ("Quercus alba (0)", "Turdus merula", "Quercus alba (2)")
