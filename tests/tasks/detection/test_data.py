"""Images with their objects: what a sample is, whatever else is read beside it."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError, Ragged, RecipeError
from tasks.detection.data import WITHOUT_OBJECTS, DetectionDataset
from tasks.detection.masks import decode
from tasks.detection.recipe import DetectionRecipe
from tasks.microworld import Microworld
from tests.tasks.detection import miniature

SHARED = Path(__file__).parents[4] / "shared/data"
WORLD = {"count": {"training": 6, "selection": 2, "test": 3}, "size": (48, 64)}


def opened(root: Path | None, split: Any = "training", **data: Any) -> DetectionDataset:
    values = {"name": "folder", "root": root} if root is not None else WORLD
    return DetectionDataset(miniature.recipe(**values | data), split)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DetectionDataset:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    return opened(None)


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    def plain(value: Any) -> Any:
        return value.values if isinstance(value, Ragged) else value

    same = (np.array_equal(plain(one[key]), plain(other[key])) for key in one)
    return one.keys() == other.keys() and all(same)


def test_shapes_and_types_of_a_sample(tmp_path: Path) -> None:
    dataset = opened(miniature.folder(tmp_path), "test")
    for rng in (None, np.random.default_rng(0)):
        item = dataset.item(1, rng)
        assert item["image"].shape == (3, 64, 64) and item["image"].dtype == np.uint8
        assert item["extent"].shape == (2,) and item["extent"].dtype == np.int64
        assert item["scale"].shape == (2,) and item["scale"].dtype == np.float32
        assert item["image_size"].tolist() == [49, 61] and item["image_size"].dtype == np.int64
        assert item["image_id"] == 13
        found = {name: item[name].values for name in ("boxes", "labels", "masks", "crowd")}
        assert found["boxes"].shape == (4, 4) and found["boxes"].dtype == np.float32
        assert found["labels"].shape == (4,) and found["labels"].dtype == np.int64
        assert found["masks"].shape == (4, 64, 64) and found["masks"].dtype == np.uint8
        assert found["crowd"].shape == (1, 4) and found["crowd"].dtype == np.float32
    empty = dataset.item(3, None)
    assert empty["boxes"].values.shape == (0, 4) and empty["masks"].values.shape == (0, 64, 64)
    assert empty["labels"].values.shape == (0,) and empty["crowd"].values.shape == (0, 4)
    assert "masks" not in opened(tmp_path, masks=False).item(1, None)


def test_an_object_without_a_mask_among_others_is_refused(tmp_path: Path) -> None:
    """Left out alone, the masks after it would belong to other boxes."""
    dataset = opened(miniature.folder(tmp_path))
    objects = dataset.annotations.objects
    masks = tuple(None if row == 1 else mask for row, mask in enumerate(objects.masks))
    dataset.annotations = replace(dataset.annotations, objects=replace(objects, masks=masks))
    with pytest.raises(DataError, match="image 3 has an object without a mask"):
        dataset.item(0, None)


def test_boxes_and_masks_of_a_sample_lie_where_they_are_annotated(tmp_path: Path) -> None:
    """On a canvas of twice the image's size."""
    root = miniature.folder(tmp_path)
    recipe = miniature.recipe((100, 120), name="folder", root=root)
    dataset = DetectionDataset(recipe, "test")
    item, objects = dataset.item(0, None), dataset.annotations.objects
    assert item["scale"].tolist() == [2, 2] and item["extent"].tolist() == [100, 120]
    boxes = objects.boxes[:4]
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1) * 2
    assert np.allclose(item["boxes"].values, corners, atol=1e-4)
    assert item["labels"].values.tolist() == objects.category[:4].tolist()
    for mask, rle in zip(item["masks"].values, objects.masks, strict=False):
        assert rle is not None
        assert np.array_equal(mask[::2, ::2], decode(rle))


def test_microworld_has_persons_and_objects_with_their_masks(world: DetectionDataset) -> None:
    scenes = Microworld("training", 6, "scene", (48, 64))
    assert world.info.model["classes"][0] == "person" and len(world.info.model["classes"]) == 11
    for index in range(len(world)):
        item = world.item(index, None)
        assert item["image_id"] == index
        found = scenes.annotations(index).items
        names = [world.info.model["classes"][label] for label in item["labels"].values]
        assert names == [entry.category for entry in found]
        numbers = scenes.instances(index)
        objects = world.annotations.objects
        masks = objects.take(objects.image == index).masks
        for entry, mask in zip(found, masks, strict=True):
            assert mask is not None
            assert np.array_equal(decode(mask) == 1, numbers == entry.instance)


def test_a_sample_depends_on_nothing_but_its_arguments(world: DetectionDataset) -> None:
    copy = pickle.loads(pickle.dumps(world))
    later = pickle.loads(pickle.dumps(copy))
    for index in reversed(range(len(world))):
        one = world.item(index, np.random.default_rng([7, index]))
        assert equal(one, copy.item(index, np.random.default_rng([7, index])))
        assert equal(one, later.item(index, np.random.default_rng([7, index])))


def test_training_leaves_out_images_without_objects_and_counts_them(tmp_path: Path) -> None:
    path = miniature.folder(tmp_path) / "annotations/instances_train.json"
    content = json.loads(path.read_text())
    for entry in content["annotations"][:5]:
        entry["iscrowd"] = 1
    path.write_text(json.dumps(content))
    training = opened(tmp_path)
    # The first has crowd regions only, the last nothing.
    assert training.annotations.images.ids.tolist() == [13, 23]
    assert training.info.skipped == {WITHOUT_OBJECTS: 2} and training.info.count == 2
    assert training.item(0, None)["image_id"] == 13
    assert len(opened(tmp_path, empty_images="keep")) == 4
    for split in ("selection", "test"):
        assert len(opened(tmp_path, split)) == 4 and opened(tmp_path, split).info.skipped == {}


def test_a_limit_takes_the_first_samples(tmp_path: Path) -> None:
    root = miniature.folder(tmp_path)
    whole, part = opened(root), opened(root, limit=2)
    assert len(part) == 2 == len(part.annotations.images)
    assert part.annotations.objects.ids.tolist() == whole.annotations.objects.ids[:10].tolist()
    assert equal(part.item(1, None), whole.item(1, None))
    assert part.info.sha256 != whole.info.sha256


def test_the_selection_split_of_coco_is_a_share_of_its_training_images(tmp_path: Path) -> None:
    data = {"name": "coco", "held_out": 0.3, "empty_images": "keep"}
    root = miniature.coco(tmp_path)
    ids = {
        split: set(opened(root, split, **data).annotations.images.ids.tolist())
        for split in ("training", "selection")
    }
    assert len(ids["selection"]) == 2 and not ids["training"] & ids["selection"]
    assert ids["training"] | ids["selection"] == {10 * k + 3 for k in range(6)}
    other = opened(root, "selection", **data | {"held_out_seed": 1}).annotations.images
    assert set(other.ids.tolist()) != ids["selection"]
    test = opened(root, "test", **data)
    assert len(test) == 6
    image = np.asarray(test.image(2))
    assert np.array_equal(image[..., ::-1], _noise(62, 48, 23))
    with pytest.raises(RecipeError, match=r"`data.held_out` is for a selection split taken from"):
        opened(root, name="coco")
    with pytest.raises(RecipeError, match=r"`data.held_out` is for a selection split taken from"):
        opened(miniature.folder(tmp_path), held_out=0.3)


def _noise(width: int, height: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_whole_annotation_sets_are_exchanged(tmp_path: Path) -> None:
    dataset = opened(miniature.folder(tmp_path, 8))
    permuted = dataset.permuted(3)
    assert np.array_equal(permuted.annotations.images.ids, dataset.annotations.images.ids)
    before, after = dataset.annotations, permuted.annotations
    assert sorted(after.objects.ids.tolist()) == before.objects.ids.tolist()
    sizes, origin = before.images.sizes, []
    for image in range(len(dataset)):
        now = after.objects.take(after.objects.image == image)
        source = int(before.objects.image[before.objects.ids == now.ids[0]][0])
        then = before.objects.take(before.objects.image == source)
        origin.append(source)
        assert now.ids.tolist() == then.ids.tolist()
        assert now.category.tolist() == then.category.tolist()
        ratio = np.tile(sizes[image] / sizes[source], 2)
        assert np.allclose(now.boxes, then.boxes * ratio)
        for mask, old in zip(now.masks, then.masks, strict=True):
            assert mask is not None and old is not None
            assert mask["size"] == sizes[image][::-1].tolist()
            shares = decode(mask).mean(), decode(old).mean()
            assert shares[0] == pytest.approx(shares[1], rel=0.25)
        one, other = dataset.item(image, None), permuted.item(image, None)
        assert np.array_equal(one["image"], other["image"])
        shown = dataset.item(source, None)
        parts = [each["boxes"].values / np.tile(each["extent"][::-1], 2) for each in (other, shown)]
        assert np.allclose(parts[0], parts[1], atol=1e-6)
    assert sorted(origin) == list(range(7)) and origin != list(range(7))
    again = dataset.permuted(3).annotations.objects
    assert np.array_equal(again.image, after.objects.image)
    assert not np.array_equal(dataset.permuted(4).annotations.objects.image, after.objects.image)


def test_a_smaller_part_lies_in_a_larger_one(tmp_path: Path) -> None:
    dataset = opened(miniature.folder(tmp_path, 11))
    half, fifth = dataset.fraction(0.5, 0), dataset.fraction(0.2, 0)
    assert len(half) == 5 == half.info.count and len(fifth) == 2
    ids = half.annotations.images.ids.tolist()
    assert set(fifth.annotations.images.ids.tolist()) < set(ids)
    assert len({dataset.info.sha256, half.info.sha256, fifth.info.sha256}) == 3
    all_ids = dataset.annotations.images.ids.tolist()
    for index in range(len(half)):
        assert equal(half.item(index, None), dataset.item(all_ids.index(ids[index]), None))


def test_the_hash_follows_whatever_decides_the_samples(tmp_path: Path) -> None:
    root = miniature.folder(tmp_path)
    hashes = {opened(root).info.sha256, opened(root, masks=False).info.sha256}
    hashes |= {opened(root, "test").info.sha256, opened(root, repair=True).info.sha256}
    before = opened(root).info.sha256
    path = root / "annotations/instances_train.json"
    path.write_text(path.read_text() + " ")
    hashes.add(opened(root).info.sha256)
    (root / "train/000000000000.png").write_bytes(b"")
    hashes.add(opened(root).info.sha256)
    assert len(hashes) == 6 and before in hashes


def test_when_training_sees_what_evaluation_sees(tmp_path: Path) -> None:
    values = miniature.recipe(name="folder", root=miniature.folder(tmp_path)).model_dump()

    def fixed(**augmentation: Any) -> bool:
        recipe = DetectionRecipe.model_validate(values | {"augmentation": augmentation})
        return DetectionDataset(recipe, "training").fixed

    assert fixed(mode="fit", flip=0.0)
    assert not fixed(mode="fit", flip=0.5) and not fixed(mode="jitter", flip=0.0)
    assert not fixed(mode="fit", flip=0.0, min_area=4.0)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("folder", "annotations/instances_train.json, .*instances_test.json, train/, val/, test/"),
        ("coco", "annotations/instances_train2017.json, .*val2017.json, train2017/, val2017/"),
        ("voc", "ImageSets/Main/train.txt, .*test.txt, JPEGImages/, Annotations/"),
    ],
)
def test_missing_data_says_what_is_expected(tmp_path: Path, name: str, layout: str) -> None:
    data: dict[str, Any] = {"name": name, "held_out": 0.2 if name == "coco" else None}
    with pytest.raises(DataError, match=f"needs --data-root DIR, with {layout} in it"):
        opened(None, **WORLD | data)
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match=f"expected.*: {layout}$"):
            opened(root, **data)


def test_splits_with_other_classes_are_refused(tmp_path: Path) -> None:
    path = miniature.folder(tmp_path) / "annotations/instances_test.json"
    content = json.loads(path.read_text())
    content["categories"].append({"id": 91, "name": "dog"})
    path.write_text(json.dumps(content))
    opened(tmp_path)
    own = {
        "training": "annotations/instances_train.json",
        "selection": "annotations/instances_val.json",
        "test": "annotations/instances_test.json",
    }
    folders = {"training": "train", "selection": "val", "test": "test"}
    message = r"instances_test.json has the categories bear, cat, apple"
    for layout in ({}, {"name": "coco", "annotations": own, "images": folders}):
        with pytest.raises(DataError, match=message):
            opened(tmp_path, "test", **layout)


def test_a_split_without_objects_has_the_masks_of_its_file(tmp_path: Path) -> None:
    """Such as a share of the training images that is held out."""
    miniature.coco(tmp_path)
    seeds = (
        opened(tmp_path, "selection", name="coco", held_out=0.02, held_out_seed=s)
        for s in range(40)
    )
    empty = next(d for d in seeds if len(d.annotations.objects) == 0)
    assert empty.info.model["masks"]
    assert empty.item(0, None)["masks"].values.shape == (0, 64, 64)


def test_a_split_without_masks_beside_training_with_some_is_refused(tmp_path: Path) -> None:
    """Its loss could not be measured as that of training is."""
    path = miniature.folder(tmp_path) / "annotations/instances_val.json"
    content = json.loads(path.read_text())
    for entry in content["annotations"]:
        del entry["segmentation"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"instances_val.json has no masks, .*data.masks=false"):
        opened(tmp_path, "selection")
    assert not opened(tmp_path, "selection", masks=False).info.model["masks"]
    path.write_text(json.dumps(content | {"annotations": []}))
    assert len(opened(tmp_path, "selection")) == 4


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder of shared data")
def test_kangaroos_and_raccoons_have_boxes_only() -> None:
    counts = {"training": (182, 240), "selection": (36, 52), "test": (54, 70)}
    for split, expected in counts.items():
        dataset = opened(SHARED / "kangaroo_raccoon", split)
        assert (len(dataset), len(dataset.annotations.objects)) == expected
        assert dataset.info.model == {"classes": ["kangaroo", "raccoon"], "masks": False}
        assert "masks" not in dataset.item(5, np.random.default_rng(0))


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder of shared data")
def test_the_small_coco_in_the_official_layout() -> None:
    root = SHARED / "coco_mini"
    dataset = opened(root, "test", name="coco", held_out=0.2)
    assert len(dataset) == 79 and len(dataset.annotations.objects) == 624
    assert len(dataset.info.model["classes"]) == 80 and dataset.info.model["masks"]
    assert dataset.annotations.objects.crowd.sum() == 5
    for index in range(0, 79, 8):
        dataset.item(index, None)
    exact = DetectionDataset(
        miniature.recipe(
            name="folder",
            root=root / "exact/coco",
            annotations=dict.fromkeys(("training", "selection", "test"), "test_coco.json"),
            images=dict.fromkeys(("training", "selection", "test"), "images"),
            held_out=0.5,
        ),
        "test",
    )
    assert [exact.item(k, None)["image_id"] for k in range(4)] == [785, 40083, 196141, 197388]
