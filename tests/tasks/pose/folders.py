"""A tiny folder in COCO's keypoint layout, recipes, and what mmpose publishes beside its code."""

import importlib.util
import json
import runpy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from tasks.pose.data import PoseDataset
from tasks.pose.recipe import PoseRecipe

RECIPES = Path(__file__).parents[3] / "tasks/pose/recipes"
JOINTS = ["nose"] + [
    f"{side}_{joint}"
    for joint in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
]


def recipe(name: str, /, **data: Any) -> PoseRecipe:
    values = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    values["data"] |= data
    return PoseRecipe.model_validate(values)


def mmpose_config(name: str) -> dict[str, Any]:
    """A configuration file that comes with mmpose, by itself."""
    package = importlib.util.find_spec("mmpose")
    assert package is not None and package.origin is not None
    return runpy.run_path(str(Path(package.origin).parent / ".mim/configs" / name))


def content(images: int, seed: int, joints: list[str] = JOINTS) -> dict[str, Any]:
    """Two people an image, of different size; after the last a crowd, an empty box and one
    without labelled joints."""
    rng = np.random.default_rng(seed)
    people: list[dict[str, Any]] = []
    for image in range(images):
        for number in range(2):
            points = rng.uniform(20, 50 + 20 * number, (len(joints), 2))
            v = rng.choice([0, 1, 2], len(joints), p=[0.2, 0.2, 0.6])
            v[0] = 2
            people.append(person(len(people) + 1, image + 1, points * (v > 0)[:, None], v))
    last = {"points": np.zeros((len(joints), 2)), "v": np.zeros(len(joints), dtype=int)}
    crowd = {**people[0], "id": 901, "iscrowd": 1}
    empty = {**people[0], "id": 902, "bbox": [10.0, 10.0, 0.0, 20.0]}
    blank = person(903, images, last["points"], last["v"])
    return {
        "images": [
            {"id": i + 1, "file_name": f"{i + 1}.png", "width": 96, "height": 80}
            for i in range(images)
        ],
        "annotations": [*people, crowd, empty, blank],
        "categories": [{"id": 1, "name": "person", "keypoints": joints}],
    }


def person(id: int, image: int, points: Any, v: Any) -> dict[str, Any]:
    return {
        "id": id,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [15.0, 15.0, 60.0, 60.0],
        "area": 2000.0,
        "num_keypoints": int((v > 0).sum()),
        "keypoints": np.concatenate((points, v[:, None]), 1).ravel().tolist(),
    }


def make(root: Path, joints: list[str] = JOINTS) -> Path:
    (root / "annotations").mkdir(parents=True)
    for seed, (split, images) in enumerate((("train", 4), ("val", 2), ("test", 3))):
        given = content(images, seed, joints)
        (root / split).mkdir()
        path = root / "annotations" / f"person_keypoints_{split}.json"
        path.write_text(json.dumps(given, indent=1))
        for image in given["images"]:
            rng = np.random.default_rng([seed, image["id"]])
            pixels = rng.integers(0, 255, (80, 96, 3)).astype(np.uint8)
            cv2.imwrite(str(root / split / image["file_name"]), pixels)
    return root


def edit(root: Path, change: Any, split: str = "train") -> Path:
    path = root / f"annotations/person_keypoints_{split}.json"
    given = json.loads(path.read_text())
    change(given)
    path.write_text(json.dumps(given))
    return path


def opened(root: Path, split: Any = "training", **data: Any) -> PoseDataset:
    return PoseDataset(recipe("smoke-folder", root=root, **data), split)
