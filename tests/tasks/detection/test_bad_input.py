"""What is wrong in a COCO file is refused in one line with its id, or mended and counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.detection import coco_files
from tasks.detection.annotations import Annotations, Objects
from tasks.detection.data import DetectionDataset
from tasks.detection.masks import decode
from tasks.detection.mending import Rule
from tasks.detection.recipe import DetectionData
from tests.tasks.detection import miniature

Change = Callable[[dict[str, Any]], Any]
ID = 102
"""The third annotation, of run lengths, in image 3 of 60x50 pixels."""


def parse(content: Any, **data: Any) -> Annotations:
    values = DetectionData.model_validate({"name": "folder", **data})
    return coco_files.parse(content, "a.json", values)


def changed(**values: Any) -> Change:
    """Changes the third annotation."""

    def change(content: dict[str, Any]) -> None:
        content["annotations"][2] |= values

    return change


def counts(value: Any, size: Any = (50, 60)) -> Change:
    return changed(segmentation={"size": list(size), "counts": value})


def without(content: dict[str, Any], number: int = ID) -> Objects:
    """The objects of an untouched file but one."""
    found = parse(content).objects
    return found.take(found.ids != number)


NAN, INFINITY = float("nan"), float("inf")

LEFT_OUT: list[tuple[Change, str, Rule]] = [
    (changed(bbox=[5, 5, 0, 9]), "has a box of no area, [5, 5, 0, 9]", Rule.NO_AREA),
    (changed(bbox=[5, 5, 9, -1]), "has a box of no area, [5, 5, 9, -1]", Rule.NO_AREA),
    (changed(bbox=[60, 5, 9, 9]), "has a box outside its image of 60x50 pixels", Rule.OUTSIDE),
    (changed(bbox=[5, -9, 9, 9]), "has a box outside its image of 60x50 pixels", Rule.OUTSIDE),
    (changed(bbox=[NAN, 5, 9, 9]), "has the box [nan, 5, 9, 9], four numbers", Rule.NO_BOX),
    (changed(bbox=[5, 5, INFINITY, 9]), "has the box [5, 5, inf, 9]", Rule.NO_BOX),
    (changed(bbox=[5, 5, 9]), "has the box [5, 5, 9], four numbers are needed", Rule.NO_BOX),
    (changed(bbox=None), "has the box None, four numbers are needed", Rule.NO_BOX),
    (changed(bbox=["5", 5, 9, 9]), "has the box ['5', 5, 9, 9]", Rule.NO_BOX),
    (changed(image_id=4), "is of image 4, which is not listed", Rule.NO_IMAGE),
    (changed(image_id=None), "is of image None, which is not listed", Rule.NO_IMAGE),
    (changed(image_id=[3]), "is of image [3], which is not listed", Rule.NO_IMAGE),
    (changed(category_id=3), "is of category 3, which does not exist", Rule.NO_CATEGORY),
    (changed(category_id="2"), "is of category '2', which does not exist", Rule.NO_CATEGORY),
]


@pytest.mark.parametrize(("change", "message", "rule"), LEFT_OUT)
def test_objects_that_cannot_be_are_left_out(change: Change, message: str, rule: Rule) -> None:
    content = miniature.content(3)
    expected = without(content)
    change(content)
    assert_refused(content, f"annotation {ID} {message}", rule)
    found = parse(content, repair=True)
    assert found.repaired == {rule.value: 1}
    assert found.objects.ids.tolist() == expected.ids.tolist()
    assert np.array_equal(found.objects.boxes, expected.boxes)
    assert list(found.objects.masks) == list(expected.masks)


def assert_refused(content: Any, message: str, rule: Rule) -> None:
    with pytest.raises(DataError) as caught:
        parse(content)
    text = str(caught.value)
    assert message in text and text.startswith("a.json: ") and "\n" not in text
    assert "--set data.repair=true" in text and rule.partition(": ")[2] in text


MASKS: list[tuple[Change, str]] = [
    (changed(segmentation=[[1, 1, 9, 9]]), "has a polygon of 4 numbers"),
    (changed(segmentation=[[1, 1, 9, 9, 1, 9, 3]]), "has a polygon of 7 numbers"),
    (changed(segmentation=[[]]), "has a polygon of 0 numbers"),
    (changed(segmentation=[[1, 1, 9, 9, 1, NAN]]), "has a polygon with NaN or infinity"),
    (changed(segmentation=[[1, 1, 9, 9, 1, INFINITY]]), "has a polygon with NaN or infinity"),
    (
        changed(segmentation=[[1, 1, 9, 9, 1, "9"]]),
        "has a polygon with something that is no number",
    ),
    (
        changed(segmentation=[[1, 1, 9, 9, 1, 10**400]]),
        "has a polygon with something that is no number",
    ),
    (changed(segmentation=[[1, 1, 9, 9, 1, 1e12]]), "has a polygon that is far outside the image"),
    (changed(segmentation=[[1, 1, 9, 9, -61, 9]]), "has a polygon that is far outside the image"),
    (changed(segmentation=[1, 1, 9, 9, 1, 9]), "has polygons that are no lists"),
    (changed(segmentation="1 1 9 9"), "has no mask, others have"),
    (changed(segmentation=[]), "has no mask, others have (--set data.masks=false for boxes only)"),
    (changed(segmentation=None), "has no mask, others have"),
    (counts([3000], (60, 50)), "has run lengths of size [60, 50], its image's height and width"),
    (counts([3000], (50.5, 60)), "has run lengths of size [50.5, 60]"),
    (counts([2999]), "has run lengths of 2999 pixels in all, its image has 3000"),
    (counts([]), "has run lengths of 0 pixels in all"),
    (counts([3001, -1]), "has a negative run length"),
    (counts([1500.5, 1499.5]), "has run lengths that are no whole numbers"),
    (counts([2**70]), "has run lengths that are no whole numbers"),
    (counts(None), "has run lengths that are neither a list nor a text"),
    (counts("é"), "has run lengths that are neither a list nor a text"),
    (counts(""), "has empty run lengths"),
    (counts("a b"), "has run lengths with a character that is none of theirs"),
    (counts("\x7f"), "has run lengths with a character that is none of theirs"),
    (counts("hm"), "has run lengths that end within a number"),
    (counts("oooooo0"), "has run lengths with a number of more than 30 bits"),
    (counts("o" * 2000 + "0"), "has run lengths with a number of more than 30 bits"),
    (counts("0000"), "has run lengths of 0 pixels in all"),
    (counts("11111"), "has run lengths of 7 pixels in all"),
    (counts("O1"), "has a negative run length"),
]


@pytest.mark.parametrize(("change", "message"), MASKS)
def test_a_broken_mask_becomes_the_filled_box(change: Change, message: str) -> None:
    content = miniature.content(3)
    before = list(parse(content).objects.masks)
    content["annotations"][2]["bbox"] = [3, 4, 5, 6]
    change(content)
    assert_refused(content, f"annotation {ID} {message}", Rule.MASK)
    found = parse(content, repair=True)
    assert found.repaired == {Rule.MASK.value: 1}
    box = np.zeros((50, 60), np.uint8)
    box[4:10, 3:8] = 1
    mask = found.objects.masks[2]
    assert mask is not None and np.array_equal(decode(mask), box)
    after = list(found.objects.masks)
    assert after[:2] + after[3:] == before[:2] + before[3:]
    # Nobody looks at masks that are not used.
    assert parse(content, masks=False).repaired == {}


def test_a_box_that_reaches_out_is_clipped() -> None:
    content = miniature.content(3)
    content["annotations"][2] |= {"bbox": [-5.0, 40.0, 20.0, 20.0], "area": 390.0}
    assert_refused(
        content, f"annotation {ID} has a box that reaches out of its image", Rule.CLIPPED
    )
    found = parse(content, repair=True)
    assert found.repaired == {Rule.CLIPPED.value: 1}
    assert found.objects.boxes[2].tolist() == [0, 40, 15, 10] and found.objects.areas[2] == 150
    # Rounding is no damage, and not changed either.
    content["annotations"][2]["bbox"] = [-0.5, 40.0, 20.0, 10.9]
    assert parse(content).objects.boxes[2].tolist() == [-0.5, 40.0, 20.0, 10.9]


@pytest.mark.parametrize("area", [-1, NAN, INFINITY, "12", [3]])
def test_an_area_that_is_none(area: Any) -> None:
    content = miniature.content(3)
    content["annotations"][2]["area"] = area
    assert_refused(content, f"annotation {ID} has the area {area!r}", Rule.AREA)
    found = parse(content, repair=True)
    assert found.repaired == {Rule.AREA.value: 1}
    mask = found.objects.masks[2]
    assert mask is not None and found.objects.areas[2] == decode(mask).sum()


@pytest.mark.parametrize("flag", [2, -1, "0", None, 0.5, NAN, [1]])
def test_a_crowd_flag_that_is_none(flag: Any) -> None:
    content = miniature.content(3)
    content["annotations"][2]["iscrowd"] = flag
    assert_refused(
        content, f"annotation {ID} has `iscrowd` {flag!r}, which must be 0 or 1", Rule.CROWD
    )
    found = parse(content, repair=True)
    assert found.repaired == {Rule.CROWD.value: 1} and found.objects.crowd[2]


def test_an_id_that_comes_twice() -> None:
    content = miniature.content(3)
    content["annotations"][5]["id"] = content["annotations"][7]["id"] = ID
    assert_refused(content, f"two annotations have the id {ID}", Rule.NUMBERED)
    found = parse(content, repair=True)
    assert found.repaired == {Rule.NUMBERED.value: 2}
    assert found.objects.ids.tolist() == [100, 101, 102, 103, 104, 110, 106, 111, 108, 109]
    assert np.array_equal(found.objects.boxes, parse(miniature.content(3)).objects.boxes)


def test_images_listed_twice() -> None:
    content = miniature.content(3)
    content["images"].append(dict(content["images"][1]))
    assert_refused(content, "image 13 is listed twice", Rule.IMAGE_TWICE)
    assert len(parse(content, repair=True).images) == 3
    content["images"][-1]["file_name"] = "other.png"
    for repair in (False, True):
        with pytest.raises(DataError, match=r"^a.json: two images have the id 13$"):
            parse(content, repair=repair)


def test_categories_listed_twice_or_of_one_name() -> None:
    content = miniature.content(3)
    content["categories"].append(dict(content["categories"][0]))
    assert_refused(content, "category 90 is listed twice", Rule.CATEGORY_TWICE)
    assert parse(content, repair=True).categories == miniature.NAMES
    content["categories"][-1]["name"] = "other"
    for repair in (False, True):
        with pytest.raises(DataError, match="two categories have the id 90: 'apple' and 'other'"):
            parse(content, repair=repair)
    content["categories"][-1] = {"id": 91, "name": "apple"}
    assert_refused(content, "the categories [90, 91] have one name, 'apple'", Rule.SAME_NAME)
    found = parse(content, repair=True)
    assert found.categories == ("bear", "cat", "apple (90)", "apple (91)")
    assert found.repaired == {Rule.SAME_NAME.value: 1}


REFUSED: list[tuple[Change, str]] = [
    (lambda c: c.pop("images"), "no COCO file, the list `images` is missing"),
    (lambda c: c.pop("categories"), "no COCO file, the list `categories` is missing"),
    (lambda c: c.update(annotations={}), "no COCO file, the list `annotations` is missing"),
    (lambda c: c.update(categories=[]), "no category is listed"),
    (lambda c: c["annotations"].append(3), "entry 10 of `annotations` has no whole number as `id`"),
    (changed(id="7"), "entry 2 of `annotations` has no whole number as `id`"),
    (changed(id=2**70), "entry 2 of `annotations` has no whole number as `id`"),
    (lambda c: c["images"][1].update(id=None), "entry 1 of `images` has no whole number as `id`"),
    (lambda c: c["images"][1].update(width=0), "image 13 has the width and height [0, 49]"),
    (lambda c: c["images"][1].update(width=NAN), "image 13 has the width and height [nan, 49]"),
    (lambda c: c["images"][1].update(height=4.5), "image 13 has the width and height [61, 4.5]"),
    (lambda c: c["images"][1].pop("height"), "image 13 has the width and height [61, None]"),
    (lambda c: c["images"][1].update(width=10**8), "image 13 has 100000000x49 pixels, fewer than"),
    (lambda c: c["images"][1].update(file_name=7), "image 13 has no valid `file_name`"),
    (lambda c: c["images"][1].update(file_name="a\0"), "image 13 has no valid `file_name`"),
    (lambda c: c["categories"][0].pop("name"), "category 90 has no `name`"),
    (lambda c: c["categories"][0].update(name="\ud800"), "category 90 has no `name` that can be"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
@pytest.mark.parametrize("repair", [False, True])
def test_what_no_rule_can_mend(change: Change, message: str, repair: bool) -> None:
    content = miniature.content(3)
    change(content)
    with pytest.raises(DataError) as caught:
        parse(content, repair=repair)
    assert str(caught.value).startswith(f"a.json: {message}") and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, [], 3, "images", {}])
def test_what_is_no_coco_file(content: Any) -> None:
    with pytest.raises(DataError, match=r"a.json: no COCO file"):
        parse(content)


def opened(root: Path, **data: Any) -> DetectionDataset:
    return DetectionDataset(miniature.recipe(name="folder", root=root, **data), "training")


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    path = miniature.folder(tmp_path) / "annotations/instances_train.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"instances_train.json is not valid JSON: .* line 1"):
        opened(tmp_path)


@pytest.mark.parametrize("repair", [False, True])
def test_training_without_an_object_or_an_image(tmp_path: Path, repair: bool) -> None:
    path = miniature.folder(tmp_path) / "annotations/instances_train.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"annotations": []}))
    message = rf"^{path} has no image for the training split: every one is without an object .*keep"
    with pytest.raises(DataError, match=message):
        opened(tmp_path, repair=repair)
    assert len(opened(tmp_path, empty_images="keep")) == 4
    path.write_text(json.dumps(content | {"annotations": [], "images": []}))
    with pytest.raises(DataError, match=rf"^{path} has no image for the training split$"):
        opened(tmp_path, repair=repair)


def test_an_image_that_is_missing(tmp_path: Path) -> None:
    missing = miniature.folder(tmp_path) / "train/000000000001.png"
    missing.unlink()
    with pytest.raises(DataError, match=rf"image 13 is missing, {missing}; mend the file, or take"):
        opened(tmp_path)
    found = opened(tmp_path, repair=True)
    assert found.annotations.images.ids.tolist() == [3, 23]
    assert found.info.skipped["repaired: " + Rule.NO_FILE.value] == 1


def test_an_image_of_another_size_or_damaged(tmp_path: Path) -> None:
    path = miniature.folder(tmp_path) / "train/000000000001.png"
    miniature.draw(path, 30, 40, 0)
    for repair in (False, True):
        with pytest.raises(DataError, match=r"000001.png is 30x40, its annotation says 61x49"):
            opened(tmp_path, repair=repair).item(1, None)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"cannot read the image `.*000001.png`"):
        opened(tmp_path).item(1, None)


def test_the_record_counts_what_was_mended(tmp_path: Path) -> None:
    path = miniature.folder(tmp_path) / "annotations/instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [1, 1, 0, 0]
    content["annotations"][1]["segmentation"] = []
    content["annotations"][7]["segmentation"] = []
    path.write_text(json.dumps(content))
    assert opened(tmp_path, repair=True).info.skipped == {
        "repaired: object with a box of no area: left out": 1,
        "repaired: broken or missing mask: the filled box taken": 2,
        "training image without an object": 1,
    }
