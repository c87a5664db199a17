"""COCO files are read as pycocotools reads them."""

import contextlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from tasks.detection import coco_files
from tasks.detection.annotations import Annotations
from tasks.detection.masks import Masks, decode, run_lengths
from tasks.detection.recipe import DetectionData
from tests.tasks.detection import miniature

SHARED = Path(__file__).parents[4] / "shared/data"


def parse(content: Any, **data: Any) -> Annotations:
    values = DetectionData.model_validate({"name": "folder", **data})
    return coco_files.parse(content, "a.json", values)


def by_pycocotools(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def assert_equal_to_pycocotools(found: Annotations, path: Path) -> None:
    reference = by_pycocotools(path)
    objects = found.objects
    assert found.images.ids.tolist() == [e["id"] for e in reference.dataset["images"]]
    assert found.category_ids.tolist() == sorted(reference.getCatIds())
    names = [entry["name"] for entry in reference.loadCats(found.category_ids.tolist())]
    assert list(found.categories) == names
    assert sorted(objects.ids.tolist()) == sorted(reference.getAnnIds())
    for k, number in enumerate(objects.ids.tolist()):
        entry = reference.anns[number]
        assert found.images.ids[objects.image[k]] == entry["image_id"]
        assert found.category_ids[objects.category[k]] == entry["category_id"]
        assert objects.boxes[k].tolist() == entry["bbox"]
        assert objects.areas[k] == entry["area"]
        assert objects.crowd[k] == entry["iscrowd"]
        if len(objects.masks):
            packed = reference.annToRLE(entry)
            counts = packed["counts"]
            counts = counts if isinstance(counts, bytes) else counts.encode()
            assert objects.masks[k] == {"size": packed["size"], "counts": counts}


def test_every_form_of_a_mask_is_what_pycocotools_makes_of_it(tmp_path: Path) -> None:
    content = miniature.content(4)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    found = parse(content)
    assert len(found.objects) == 15 and found.objects.crowd.sum() == 3
    assert_equal_to_pycocotools(found, path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder of shared data")
@pytest.mark.parametrize(
    "name",
    [
        "coco_mini/annotations/instances_train2017.json",
        "coco_mini/annotations/instances_val2017.json",
        "coco_mini/exact/coco/test_coco.json",
        "kangaroo_raccoon/annotations/instances_train.json",
    ],
)
def test_real_files(name: str) -> None:
    found = parse(json.loads((SHARED / name).read_text()))
    assert found.repaired == {}
    assert (len(found.objects.masks) == 0) == ("kangaroo" in name)
    assert_equal_to_pycocotools(found, SHARED / name)


def test_categories_are_in_the_order_of_their_ids_and_images_without_objects_stay() -> None:
    found = parse(miniature.content(3))
    assert found.categories == miniature.NAMES
    assert found.category_ids.tolist() == list(miniature.IDS)
    assert len(found.images) == 3 and found.objects.image.max() == 1
    assert found.images.sizes.tolist() == [[60, 50], [61, 49], [62, 48]]


def test_a_missing_area_is_that_of_the_mask_or_of_the_box() -> None:
    content = miniature.content(2)
    for entry in content["annotations"]:
        del entry["area"], entry["iscrowd"]
    found = parse(content)
    assert found.objects.areas.tolist() == [float(rle.area(m)) for m in found.objects.masks]
    assert not found.objects.crowd.any()
    assert found.repaired == {"area not given: that of the mask or box taken": 5}
    boxes = parse(content, masks=False).objects
    assert boxes.masks == () and np.array_equal(boxes.areas, boxes.boxes[:, 2:].prod(1))


def test_an_annotation_may_have_the_id_0() -> None:
    content = miniature.content(2)
    content["annotations"][0]["id"] = 0
    assert parse(content).objects.ids.tolist()[:2] == [0, 101]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_run_lengths_are_decoded_as_they_were_encoded() -> None:
    rng = np.random.default_rng(0)
    for height, width, share in [(1, 1, 0.5), (7, 5, 0.5), (300, 400, 0.5), (600, 700, 1e-5)]:
        pixels = np.asfortranarray(rng.random((height, width)) < share, dtype=np.uint8)
        packed = rle.encode(pixels)
        assert np.array_equal(decode(packed), pixels)
        assert np.array_equal(decode(packed), rle.decode(packed))


def test_masks_are_taken_resized_and_pickled_without_being_changed() -> None:
    found = parse(miniature.content(4))
    masks = found.objects.masks
    assert isinstance(masks, Masks)
    rows = np.array([7, 2, 2])
    taken = found.objects.take(rows).masks
    assert list(taken) == [masks[7], masks[2], masks[2]] == list(pickle.loads(pickle.dumps(taken)))
    later = found.of_images(np.array([2, 0])).objects
    assert (
        list(later.masks) == [*masks[:5], *masks[10:]] and later.image.tolist() == [1] * 5 + [0] * 5
    )
    # Twice the size: each pixel becomes four.
    sizes = np.array([each["size"] for each in masks]) * 2
    larger = masks.resized(sizes)
    for small, large in zip(masks, larger, strict=True):
        assert np.array_equal(np.kron(decode(small), np.ones((2, 2))), decode(large))


def test_the_forms_of_one_mask_are_equal() -> None:
    """A mask as polygon, as text and as list of numbers."""
    content = miniature.content(2)
    first = content["annotations"][0]
    height, width = content["images"][0]["height"], content["images"][0]["width"]
    packed = rle.merge(rle.frPyObjects(first["segmentation"], height, width))
    lengths = run_lengths(packed["counts"]).tolist()
    for number, counts in enumerate((packed["counts"].decode(), lengths), start=1):
        content["annotations"][number]["segmentation"] = {"size": [height, width], "counts": counts}
    masks = parse(content).objects.masks
    assert masks[0] == masks[1] == masks[2]
