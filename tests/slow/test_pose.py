"""The real command for pose: it over-fits, and its published recipes run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import backbones
from harness.recipes import load_resolved
from results.predictions import read_rows
from tasks.microworld import Microworld
from tasks.pose.matching import Detections, bounding_areas
from tasks.pose.metrics import distinct, person_scores
from tasks.pose.recipe import PoseRecipe
from tasks.pose.task import Pose
from tests.slow.command import record, sets, start, write_folder
from tests.tasks.pose.folders import JOINTS, content, make

TASK = "pose"
PEOPLE = 8
SHORT = ["--scale", "smoke", "--backbone", "simmim"]


def people_as_folder(root: Path) -> None:
    """The first people of microworld's training range, as all three splits of a folder."""
    world = Microworld("training", 16, "scene", (128, 128), 0)
    given = world.to_coco_keypoints()
    given["annotations"] = [a for a in given["annotations"] if a["num_keypoints"] >= 8][:PEOPLE]
    assert len(given["annotations"]) == PEOPLE
    used = {a["image_id"] for a in given["annotations"]}
    given["images"] = [image for image in given["images"] if image["id"] in used]
    write_folder(root, "person_keypoints", world, given)


def test_eight_people_are_over_fitted(tmp_path: Path) -> None:
    people_as_folder(tmp_path / "people")
    still = {
        "augmentation.flip": 0,
        "augmentation.shift": 0,
        "augmentation.scale": [1.0, 1.0],
        "test.flip": False,
        "train.batch_size": 8,
        "train.steps": 150,
    }
    found = record(
        tmp_path,
        TASK,
        "runs",
        *("--backbone", "simmim", "--dataset", "folder", "--data-root", "people"),
        *sets(still),
    )
    assert found["metrics"]["AP"]["n"] == PEOPLE
    assert found["metrics"]["AP"]["value"] > 0.9


def official(root: Path, name: str) -> None:
    """Miniature files in the official layout of COCO 2017, or mmpose's of CrowdPose."""
    joints = JOINTS if name == "coco" else CROWD_JOINTS
    splits = OFFICIAL[name]
    (root / "annotations").mkdir(parents=True)
    for seed, (file, images) in enumerate(splits.items()):
        given = content(4, seed, joints)
        for image in given["images"]:
            image["crowdIndex"] = 0.1 * image["id"]
            image["file_name"] = f"{seed}{image['id']:011d}.jpg"
        (root / "annotations" / file).write_text(json.dumps(given))
        (root / images).mkdir(exist_ok=True)
        for image in given["images"]:
            pixels = np.random.default_rng(seed).integers(0, 255, (80, 96, 3)).astype(np.uint8)
            cv2.imwrite(str(root / images / image["file_name"]), pixels)


CROWD_JOINTS = [
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
] + ["head", "neck"]
OFFICIAL = {
    "coco": {
        "person_keypoints_train2017.json": "train2017",
        "person_keypoints_val2017.json": "val2017",
    },
    "crowdpose": {
        "mmpose_crowdpose_train.json": "images",
        "mmpose_crowdpose_val.json": "images",
        "mmpose_crowdpose_test.json": "images",
    },
}


@pytest.mark.parametrize("name", list(OFFICIAL))
def test_paper_recipes_run_on_the_official_layout(name: str, tmp_path: Path) -> None:
    """Overridden: the encoder (the shipped one), batch size and length."""
    official(tmp_path / "data", name)
    found = record(
        tmp_path,
        TASK,
        "runs",
        *("--scale", "paper", "--dataset", name, "--data-root", "data"),
        *("--backbone", "simmim_vit_micro", "--set", "train.batch_size=4", "--max-steps", "3"),
    )
    assert found["status"] == "finished"
    assert found["step"] == 3
    assert found["recipe"]["backbone"]["input_size"] == [256, 192]
    assert ("AP_easy" in found["metrics"]) == (name == "crowdpose")


NARROW: dict[str, tuple[str, dict[str, Any], tuple[int, int]]] = {
    "simple": (
        "vit",
        {"embed_dim": 12, "depth": 2, "num_heads": 1, "patch_size": 16},
        (64, 48),
    ),
    "paper-swinv2": (
        "swinv2",
        {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": 1, "window_size": 12},
        (256, 256),
    ),
}


@pytest.mark.parametrize("name", list(NARROW))
def test_other_published_recipes_run(name: str, tmp_path: Path) -> None:
    """Overridden: the encoder (narrow, new, read from its file), batch size and length; for the
    simple decoder the sizes of input and maps, too, a quarter of the published. SwinV2's are the
    published ones, 256 pixels being the smallest that windows of 16 and 8 fill; on a processor
    without half precision its `precision`."""
    family, arch, size = NARROW[name]
    official(tmp_path / "data", "coco")
    trained_at = (192, 192) if family == "swinv2" else size
    path = tmp_path / f"{family}.safetensors"
    backbones.save(backbones.create(family, arch, trained_at, seed=0), path, {"name": family})
    asked = ["--config", name, "--precision", "32"]
    if name == "simple":
        asked = ["--scale", "paper", "--dataset", "coco", "--set", "head.type=simple"]
        asked += ["--set", "backbone.input_size=[64,48]", "--set", "codec.heatmap_size=[16,12]"]
    found = record(
        tmp_path,
        TASK,
        "runs",
        *("--backbone", str(path), "--data-root", "data", *asked),
        *("--set", "train.batch_size=4", "--max-steps", "3"),
    )
    assert (found["status"], found["step"]) == ("finished", 3)
    assert found["encoder_at_step0"]["equals_file"]
    recipe = found["recipe"]
    assert recipe["backbone"]["input_size"] == list(size)
    assert recipe["codec"]["heatmap_size"] == [side // 4 for side in size]
    if name == "simple":
        assert recipe["head"]["deconv_channels"] == []
    else:
        assert recipe["head"]["deconv_channels"] == [32, 32, 32]
        assert recipe["backbone"]["window_size"] == 16 and recipe["head"]["norm"] == "fixed"
        assert recipe["augmentation"]["grid_dropout"]["unit"] == [10, 40]


def test_a_broken_image_ends_the_run(tmp_path: Path) -> None:
    """With loader workers, which must not outlive the error."""
    root = make(tmp_path / "people")
    broken = root / "train/1.png"
    broken.write_bytes(broken.read_bytes()[:-200])
    words = ["--scale", "smoke", "--dataset", "folder", "--data-root", str(root)]
    process = start(tmp_path, TASK, "runs", *words, "--backbone", "simmim", "--workers", "1")
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2
    *_, last = errors.splitlines()
    assert last.startswith(f"error: cannot read the image `{broken}`: it is truncated")


COCO_MINI = Path(__file__).parents[3] / "shared/data/coco_mini"
FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


@pytest.mark.skipif(not COCO_MINI.is_dir(), reason="coco_mini is not on this machine")
def test_cocos_files_give_pycocotools_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the run itself, and of better predictions put in their place, whose AP is above 0."""
    words = ["--scale", "smoke", "--dataset", "coco", "--data-root", str(COCO_MINI)]
    found = record(tmp_path, TASK, "runs", "--backbone", "simmim", *words)
    given = load_resolved("pose", found["recipe"])
    dataset = Pose().dataset(given, "test")
    kept = read_rows(next(tmp_path.glob("runs/pose/*/*/predictions.parquet")))
    rng = np.random.default_rng(0)
    better = []
    for row in kept:
        joints = np.array(row["keypoints"]).reshape(-1, 3)
        joints[:, :2] = dataset.samples.keypoints[row["sample"]] + rng.normal(0, 2, (17, 2))
        better.append(row | {"keypoints": joints.ravel().tolist()})
    run = {name: metric["value"] for name, metric in found["metrics"].items()}
    ours = {n: m.value for n, m in Pose().evaluate(better, dataset).metrics.items()}
    assert ours["AP"] > 0.3
    for rows, figures in ((kept, run), (better, ours)):
        expected = pycocotools_figures(rows, given)
        capsys.readouterr()
        for name, value in zip(FIGURES, expected, strict=True):
            assert figures[name] == pytest.approx(value, abs=1e-9), name


def pycocotools_figures(rows: list[dict[str, Any]], given: PoseRecipe) -> list[float]:
    joints = np.array([row["keypoints"] for row in rows]).reshape(len(rows), -1, 3)
    boxes = np.array([row["box_score"] for row in rows])
    scores = person_scores(joints[..., 2], boxes, given.test.joint_threshold)
    images = np.array([row["image_id"] for row in rows])
    people = Detections(images, joints[..., :2], scores, bounding_areas(joints[..., :2]))
    areas = np.array([row["area"] for row in rows])
    sigmas = COCOeval(iouType="keypoints").params.kpt_oks_sigmas
    detections = [
        {
            "image_id": int(images[i]),
            "category_id": 1,
            "score": float(scores[i]),
            "keypoints": rows[i]["keypoints"],
        }
        for i in distinct(people, areas, sigmas, given.test.nms_oks).tolist()
    ]
    truth = COCO(str(COCO_MINI / "annotations/person_keypoints_val2017.json"))
    reference = COCOeval(truth, truth.loadRes(detections), "keypoints")
    reference.evaluate()
    reference.accumulate()
    reference.summarize()
    return [float(value) for value in reference.stats]


def test_wandb_keeps_a_run_without_a_network(tmp_path: Path) -> None:
    found = record(tmp_path, TASK, "runs", *SHORT, "--max-steps", "2", "--logger", "wandb")
    assert found["logger"] == {"name": "wandb", "run_id": found["cell"][:16]}
    (kept,) = tmp_path.glob("runs/pose/*/*/wandb/offline-run-*")
    assert kept.name.endswith(found["cell"][:16])
