"""Which people are samples, what an item is, and what broken data says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.pose.data import PoseDataset
from tests.tasks.pose.folders import JOINTS, make, recipe

SHARED = Path(__file__).parents[4] / "shared/data"


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def edit(root: Path, change: Any, split: str = "train") -> Path:
    path = root / f"annotations/person_keypoints_{split}.json"
    given = json.loads(path.read_text())
    change(given)
    path.write_text(json.dumps(given))
    return path


def opened(root: Path, split: Any = "training", **data: Any) -> PoseDataset:
    return PoseDataset(recipe("smoke-folder", root=root, **data), split)


def test_published_rules(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    assert len(data) == data.info.count == 8
    assert data.info.skipped == {"crowd": 1, "no labelled joint": 1, "empty box": 1}
    assert len(data.truth) == 11, "what does not count is still looked at by the evaluator"
    assert data.skeleton.flip[JOINTS.index("left_knee")] == JOINTS.index("right_knee")
    assert data.skeleton.sigmas[0] == 0.026


def test_a_limit_takes_the_first_people_and_their_truth(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    data = opened(root, limit=3)
    assert data.samples.annotation.tolist() == [1, 2, 3]
    counted = data.truth.ids[~data.truth.crowd & (data.truth.labelled > 0)]
    assert set(counted) - {902} == {1, 2, 3}
    assert data.info.sha256 != opened(root).info.sha256


def test_items(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    plain = data.item(0, None)
    assert plain["image"].shape == (3, 128, 128) and plain["image"].dtype == np.uint8
    # Padded by 1.25 the box of 60 pixels is 75 wide; UDP brings it to 127 steps.
    expected = (data.samples.keypoints[0] - (45 - 37.5)) * 127 / 75
    np.testing.assert_allclose(plain["keypoints"], expected, atol=1e-4)
    same, other = data.item(0, rng(1)), data.item(0, rng(2))
    assert (same["image"] == data.item(0, rng(1))["image"]).all()
    assert (same["keypoints"] != other["keypoints"]).any()


def test_augmented_joints_lie_on_their_pixels(tmp_path: Path) -> None:
    """A bright dot at a joint stays under it through mirror, turn and scale."""
    import cv2

    root = make(tmp_path / "set")
    for image in range(1, 5):
        given = json.loads((root / "annotations/person_keypoints_train.json").read_text())
        person = next(p for p in given["annotations"] if p["image_id"] == image)
        pixels = np.zeros((80, 96, 3), dtype=np.uint8)
        x, y = person["keypoints"][:2]
        cv2.circle(pixels, (round(x), round(y)), 2, (255, 255, 255), -1)
        cv2.imwrite(str(root / f"train/{image}.png"), pixels)
    data = opened(root)
    found = 0
    for seed in range(40):
        index = 2 * (seed % 4)
        item = data.item(index, rng(seed))
        x, y = item["keypoints"][0]
        brightness = item["image"][0].astype(float)
        if brightness.sum() < 255 * 8 or not (6 < x < 121 and 6 < y < 121):
            continue
        rows, columns = np.mgrid[:128, :128]
        centre = np.array([(columns * brightness).sum(), (rows * brightness).sum()])
        # The dot is drawn on whole pixels: up to 0.5 px, times the enlargement.
        np.testing.assert_allclose(centre / brightness.sum(), [x, y], atol=2.5)
        found += 1
    assert found > 20


def test_permuted_keeps_the_poses(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    data.samples.boxes[:, 2] *= np.linspace(0.5, 1.5, len(data))
    mixed = data.permuted(3)

    def poses(given: PoseDataset) -> list[Any]:
        boxes = given.samples.boxes[:, None]
        relative = (given.samples.keypoints - boxes[..., :2]) / boxes[..., 2:]
        pairs = zip(relative, given.samples.visible, strict=True)
        return sorted((*np.round(p, 6).ravel(), *v) for p, v in pairs)

    assert poses(mixed) == poses(data)
    moved = (mixed.samples.keypoints != data.samples.keypoints).any(axis=(1, 2))
    assert moved.sum() > len(data) / 2
    assert (mixed.samples.boxes == data.samples.boxes).all()


def test_mean_pose(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    nose = [
        (points[0] - box[:2]) / box[2:]
        for points, visible, box in zip(
            data.samples.keypoints, data.samples.visible, data.samples.boxes, strict=True
        )
        if visible[0]
    ]
    np.testing.assert_allclose(data.mean_pose()[0], np.mean(nose, axis=0), atol=1e-12)


def test_detections(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    boxes = [
        {"image_id": 2, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.5},
        {"image_id": 1, "category_id": 1, "bbox": [5, 6, 30, 40], "score": 0.9},
        {"image_id": 1, "category_id": 3, "bbox": [5, 6, 30, 40], "score": 0.9},
        {"image_id": 77, "category_id": 1, "bbox": [5, 6, 30, 40], "score": 0.9},
    ]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(boxes))
    data = opened(root, "test", detections=path)
    assert data.samples.scores.tolist() == [0.9, 0.5]
    assert data.item(1, None)["annotation"] == -1
    assert sum(data.info.skipped.values()) == 2
    assert opened(root, "training", detections=path).info.count == 8
    path.write_text(json.dumps([*boxes, {**boxes[0], "bbox": [1, 2, 0, 40]}]))
    skipped = opened(root, "test", detections=path).info.skipped
    assert skipped["detection with an empty box"] == 1
    wrong = {"image_id": "1"}, {"image_id": [1]}, {"score": float("nan")}, {"bbox": [1, 2, 3]}
    for fields in wrong:
        path.write_text(json.dumps([boxes[0] | fields]))
        with pytest.raises(DataError, match="detection 0"):
            opened(root, "test", detections=path)


def test_detections_of_another_person_category(tmp_path: Path) -> None:
    root = make(tmp_path / "set")

    def renumber(given: Any) -> None:
        given["categories"][0]["id"] = 0
        for entry in given["annotations"]:
            entry["category_id"] = 0

    edit(root, renumber, "test")
    path = tmp_path / "boxes.json"
    boxes = [
        {"image_id": 2, "category_id": number, "bbox": [1, 2, 30, 40], "score": 0.5}
        for number in (0, 1)
    ]
    path.write_text(json.dumps(boxes))
    data = opened(root, "test", detections=path)
    assert len(data) == 1 and sum(data.info.skipped.values()) == 1


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
    (person(1, num_keypoints=None), "annotation 2 has a `num_keypoints`"),
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
    with pytest.raises(DataError, match=message):
        opened(root)


def test_broken_images(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    hurt, gone = root / "train/2.png", root / "train/3.png"
    hurt.write_bytes(hurt.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"2.png is truncated"):
        opened(root).item(2, None)
    gone.unlink()
    with pytest.raises(DataError, match=r"3.png.*skip_unreadable=true"):
        opened(root)
    data = opened(root, skip_unreadable=True)
    assert data.info.skipped["unreadable image"] == 4 and len(data) == 4
    # Whom nobody could look for, nobody has missed.
    assert set(data.truth.image.tolist()) <= set(data.samples.image.tolist())
    edit(root, lambda given: given["images"][0].update(width=97))
    with pytest.raises(DataError, match=r"1\.png is 96x80, its annotation says 97x80"):
        opened(root, skip_unreadable=False, limit=1).item(0, None)


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


def test_crowdpose_needs_its_crowd_index(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="images without `crowdIndex`"):
        opened(make(tmp_path / "set"), name="crowdpose")


@pytest.mark.parametrize("content", [b"[" * 100000, b"1" * 5000, b"\xff\xfe{"])
def test_json_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    root = make(tmp_path / "set")
    (root / "annotations/person_keypoints_train.json").write_bytes(content)
    with pytest.raises(DataError, match=r"person_keypoints_train\.json"):
        opened(root)


def test_held_out_images(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    files = "annotations/person_keypoints_train.json"
    data: dict[str, Any] = {
        "annotations": {"training": files, "selection": files, "test": files},
        "images": {"training": "train", "selection": "train", "test": "train"},
        "held_out": 0.25,
    }
    parts = [opened(root, split, **data) for split in ("training", "selection", "test")]
    ids = [set(part.samples.annotation.tolist()) for part in parts]
    assert len(ids[1]) == 2 and not ids[0] & ids[1] and ids[0] | ids[1] == ids[2]
    assert parts[0].item(0, None)["image_id"] in {1, 2, 3, 4}


@pytest.mark.skipif(not (SHARED / "lspet").exists(), reason="no lspet beside the repository")
def test_lspet() -> None:
    sigmas = (0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.062)
    sigmas += (0.072, 0.079, 0.079, 0.072, 0.062, 0.079, 0.079)
    given = recipe("tiny-folder", root=SHARED / "lspet", sigmas=sigmas)
    counts = [len(PoseDataset(given, split)) for split in ("training", "selection", "test")]
    assert counts == [360, 60, 160]
    data = PoseDataset(given, "test")
    assert data.skeleton.flip == (5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13)
    assert int(data.samples.visible.sum()) == 2145


@pytest.mark.skipif(not (SHARED / "coco_mini").exists(), reason="no coco_mini there")
def test_coco_mini() -> None:
    data = PoseDataset(recipe("tiny-coco", root=SHARED / "coco_mini"), "test")
    assert len(data.truth) == 118 and data.info.count + sum(data.info.skipped.values()) == 118
    assert data.item(0, None)["image"].any()
