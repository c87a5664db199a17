"""What annotation files mean, and what broken ones say."""

from pathlib import Path
from typing import Any

import pytest

from tasks.contract import DataError
from tasks.pose.skeleton import skeleton
from tests.tasks.pose.folders import edit, make, mmpose_config, opened


def test_missing_root_and_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data-root.*person_keypoints_train\.json"):
        opened(None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"no folder.*person_keypoints_test\.json.*train/"):
        opened(tmp_path / "nowhere")
    root = make(tmp_path / "set")
    (root / "annotations/person_keypoints_test.json").unlink()
    with pytest.raises(DataError, match=r"person_keypoints_test\.json is missing"):
        opened(root, "test")


def test_broken_json_names_its_line(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    path = root / "annotations/person_keypoints_train.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    line = whole[: len(whole) // 2].count("\n") + 1
    with pytest.raises(DataError, match=f"person_keypoints_train.json.*line {line}"):
        opened(root)


def wrong_number(given: Any) -> None:
    del given["annotations"][4]["keypoints"][-3:]


def unknown_image(given: Any) -> None:
    given["annotations"][2]["image_id"] = 55


def doubled(given: Any) -> None:
    given["annotations"][3]["id"] = 1


def not_finite(given: Any) -> None:
    given["annotations"][1]["bbox"][0] = None


def no_area(given: Any) -> None:
    del given["annotations"][0]["area"]


def person(number: int, **fields: Any) -> Any:
    return lambda given: given["annotations"][number].update(fields)


def image(number: int, **fields: Any) -> Any:
    return lambda given: given["images"][number].update(fields)


BROKEN = [
    (wrong_number, "annotation 5 has 48 keypoint values, expected 51"),
    (unknown_image, "annotation 3 is of image 55"),
    (doubled, "two annotations with the same id"),
    (not_finite, "annotation 2 has a box"),
    (no_area, "annotation 1 has no valid `area`.*data.area=box"),
    (person(1, area=-5.0), "annotation 2 has no valid `area`"),
    (person(1, image_id=[1]), "annotation 2 is of image"),
    (person(1, num_keypoints=None), "annotation 2 has `num_keypoints` None, expected.*0 to 17"),
    (person(1, num_keypoints=-3), "annotation 2 has `num_keypoints` -3"),
    (person(1, num_keypoints=18), "annotation 2 has `num_keypoints` 18"),
    (person(1, iscrowd="0"), "annotation 2 has `iscrowd` '0', expected 0 or 1"),
    (person(1, iscrowd=None), "annotation 2 has `iscrowd` None"),
    (person(1, category_id="1"), "annotation 2 has `category_id` '1', expected.*people have 1"),
    (person(1, id=2**70), "an annotation without a whole number"),
    (person(1, bbox=[1, 2, 10**400, 4]), "annotation 2 has a box"),
    (image(1, width=float("inf")), "image 2 has no valid width"),
    (image(1, file_name="a\0.png"), "image 2 has no valid file_name"),
    (image(1, crowdIndex=None), "image 2 has no valid crowdIndex"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_broken_annotations(tmp_path: Path, change: Any, message: str) -> None:
    root = make(tmp_path / "set")
    edit(root, change)
    with pytest.raises(DataError, match=rf"person_keypoints_train\.json.*{message}"):
        opened(root)


def test_what_is_not_a_person_is_passed_over(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    edit(root, person(1, category_id=2, bbox=None))
    assert opened(root).samples.annotation.tolist() == [1, *range(3, 9)]


def test_boxes_are_clipped_to_the_image(tmp_path: Path) -> None:
    """To the centres of its border pixels, 95 and 79."""
    root = make(tmp_path / "set")
    edit(root, person(0, bbox=[-10, -5, 60, 60]))
    edit(root, person(1, bbox=[70, 60, 60, 60]))
    data = opened(root)
    assert data.samples.boxes[:2].tolist() == [[0, 0, 50, 55], [70, 60, 25, 19]]
    # The evaluator looks at the boxes of the file.
    assert data.truth.boxes[0].tolist() == [-10, -5, 60, 60]


def test_hidden_joints_are_labelled(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    v = data.truth.keypoints[data.samples.person, :, 2]
    assert set(v.ravel()) == {0, 1, 2}
    assert (data.samples.visible == (v > 0)).all()


def test_unknown_sigmas_must_be_given(tmp_path: Path) -> None:
    joints = ["left_ankle", "right_ankle", "neck"]
    root = make(tmp_path / "set", joints)
    with pytest.raises(DataError, match=r"--set 'data.sigmas=\[0.089,0.089,0.079\]'"):
        opened(root)
    assert opened(root, sigmas=(0.1, 0.1, 0.2)).skeleton.sigmas == (0.1, 0.1, 0.2)
    with pytest.raises(DataError, match="2 numbers"):
        opened(root, sigmas=(0.1, 0.1))


def test_mirror_pairs_are_not_guessed(tmp_path: Path) -> None:
    joints = ["l_ankle", "r_ankle", "neck"]
    root = make(tmp_path / "set", joints)
    given: dict[str, Any] = {"sigmas": (0.1, 0.1, 0.2)}
    with pytest.raises(DataError, match=r"no mirror pairs.*l_ankle.*data.flip_pairs"):
        opened(root, **given)
    assert opened(root, flip_pairs=(), **given).skeleton.flip == (0, 1, 2)
    pairs = (("l_ankle", "r_ankle"),)
    assert opened(root, flip_pairs=pairs, **given).skeleton.flip == (1, 0, 2)
    with pytest.raises(DataError, match="two mirror images"):
        opened(root, flip_pairs=(*pairs, ("neck", "l_ankle")), **given)


def metainfo(name: str) -> dict[str, Any]:
    """What mmpose knows of a data set."""
    found: dict[str, Any] = mmpose_config(f"_base_/datasets/{name}.py")["dataset_info"]
    return found


@pytest.mark.parametrize("name", ["coco", "crowdpose"])
def test_skeletons_as_mmpose(name: str) -> None:
    published = metainfo(name)
    joints = list(published["keypoint_info"].values())
    names = [joint["name"] for joint in joints]
    found = skeleton(names)
    assert found.sigmas == pytest.approx(published["sigmas"], abs=1e-12)
    assert [names[other] for other in found.flip] == [j["swap"] or j["name"] for j in joints]
    assert list(found.lower) == [joint["type"] == "lower" for joint in joints]


def test_crowdpose_joints_as_its_files_name_them() -> None:
    names = [joint["name"] for joint in metainfo("crowdpose")["keypoint_info"].values()]
    renamed = ["head" if name == "top_head" else name for name in names]
    assert names != renamed and skeleton(renamed).sigmas == skeleton(names).sigmas


def test_crowdpose_areas_are_shares_of_boxes(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    edit(root, person(0, bbox=[10, 10, 30, 40], area=7.0))
    assert opened(root, area="box").truth.areas[0] == 0.53 * 30 * 40
    assert opened(root).truth.areas[0] == 7.0


def test_crowdpose_needs_its_crowd_index(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="images without `crowdIndex`"):
        opened(make(tmp_path / "set"), name="crowdpose")


@pytest.mark.parametrize("content", [b"[" * 100000, b"1" * 5000, b"\xff\xfe{"])
def test_json_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    root = make(tmp_path / "set")
    (root / "annotations/person_keypoints_train.json").write_bytes(content)
    with pytest.raises(DataError, match=r"person_keypoints_train\.json"):
        opened(root)
