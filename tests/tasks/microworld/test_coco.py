"""The COCO layouts, read by pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from tasks.microworld import DETECTION_CLASSES, Microworld


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return Microworld("test", 12, "scene", (48, 64), root=tmp_path_factory.mktemp("cache"))


def load(layout):
    """Load after a round through JSON, as a file would be."""
    coco = COCO()
    coco.dataset = json.loads(json.dumps(layout))
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


# pycocotools 2.0 decodes through an interface that numpy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_boxes_and_areas_are_those_of_the_instance_map(world):
    coco = load(world.to_coco_instances())
    assert coco.getImgIds() == list(range(12))
    seen = 0
    for entry in coco.loadAnns(coco.getAnnIds()):
        index = entry["image_id"]
        (item,) = (
            item
            for item in world.annotations(index).items
            if list(item.box) == entry["bbox"]
            and DETECTION_CLASSES[entry["category_id"] - 1] == item.category
        )
        assert np.array_equal(coco.annToMask(entry) == 1, world.instances(index) == item.instance)
        assert entry["area"] == item.area
        seen += 1
    assert seen == sum(len(world.annotations(n).items) for n in range(12)) > 12


def test_keypoints_are_the_persons_in_order(world):
    coco = load(world.to_coco_keypoints())
    (category,) = coco.loadCats(coco.getCatIds())
    assert len(category["keypoints"]) == 17 and len(category["skeleton"]) == 19
    for index in range(12):
        entries = coco.loadAnns(coco.getAnnIds(imgIds=[index]))
        persons = world.annotations(index).persons
        assert len(entries) == len(persons)
        for entry, person in zip(entries, persons, strict=True):
            points = np.array(entry["keypoints"]).reshape(17, 3)
            assert np.array_equal(points, np.array(person.keypoints))
            assert entry["num_keypoints"] == (points[:, 2] > 0).sum()
