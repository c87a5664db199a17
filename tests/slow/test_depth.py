"""The real command for depth: it over-fits, its published recipes run, published models too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import backbones
from tasks.microworld import Microworld
from tests.backbones.stages import checkpoint
from tests.slow.command import record, sets
from tests.tasks.depth import miniature

TASK = "depth"
DATA = Path(__file__).parents[3] / "shared/data"


def world_as_folder(root: Path, count: int) -> Path:
    """The first scenes of microworld's training range, as all splits of a folder."""
    world = Microworld("training", count, "scene", (128, 128), 0)
    for index in range(count):
        for split in ("train", "val", "test"):
            place = root / split / "scenes"
            miniature.write_image(place / f"rgb/{index}.png", world.image(index))
            miniature.write_depth(place / f"depth/{index}.png", world.depth(index), 1000)
    return root


def test_eight_images_are_over_fitted(tmp_path: Path) -> None:
    """Of microworld's training range, as all splits of a folder."""
    still = {
        "augmentation.flip": 0,
        "test.flip": False,
        "backbone.input_size": [128, 128],
        "data.unit": 1000,
        "train.batch_size": 8,
        "train.steps": 300,
    }
    root = world_as_folder(tmp_path / "data", 8)
    words = ["--dataset", "folder", "--data-root", str(root), "--backbone", "simmim"]
    found = record(tmp_path, TASK, "runs", *words, *sets(still))
    constant = record(tmp_path, TASK, "runs", *words, *sets(still), "--control", "constant")
    assert found["metrics"]["RMSE"]["n"] == 8
    assert found["metrics"]["RMSE"]["value"] < 0.25 * constant["metrics"]["RMSE"]["value"]


PAPER: dict[str, tuple[Any, tuple[int, int], list[int]]] = {
    "nyuv2": (miniature.write_nyuv2, (480, 480), [30, 30, 30, 15]),
    "kitti": (miniature.write_kitti, (352, 352), [22, 22, 22, 11]),
}


@pytest.mark.parametrize("name", list(PAPER))
def test_paper_recipes_run_on_the_official_layout(name: str, tmp_path: Path) -> None:
    """Overridden: the encoder (narrow, new, read from its file, of the published layout), batch
    size, length, and that there are fewer images than were published. Sizes and windows are the
    published ones: 480 and 352 pixels are what windows of 30 and 22 fill."""
    write, size, windows = PAPER[name]
    root = write(tmp_path / "data")
    arch = {"embed_dim": 8, "depths": (2, 2, 2, 1), "num_heads": 1, "window_size": 12}
    path = tmp_path / "narrow.safetensors"
    backbones.save(backbones.create("swinv2", arch, (192, 192), seed=0), path, {"name": "narrow"})
    found = record(
        tmp_path,
        TASK,
        "runs",
        *("--scale", "paper", "--dataset", name, "--data-root", str(root)),
        *("--backbone", str(path), "--max-steps", "3"),
        *sets({"train.batch_size": 2, "data.partial": True}),
    )
    assert (found["status"], found["step"]) == ("finished", 3)
    recipe = found["recipe"]
    assert recipe["backbone"]["input_size"] == list(size)
    assert recipe["backbone"]["window_size"] == windows
    assert recipe["augmentation"]["cutdepth_paste"] == "published"


def evaluate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "harness.cli.main", "evaluate", "--task", TASK, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_published_model_is_measured_without_training(tmp_path: Path) -> None:
    """The fixture's narrow file by the published recipe, its own windows and sizes given."""
    root = miniature.write_nyuv2(tmp_path / "data")
    narrow = {
        "backbone.window_size": [6, 6, 6, 3],
        "backbone.input_size": [96, 96],
        "test.size": [96, 128],
        "data.partial": True,
    }
    words = ["--checkpoint", str(checkpoint("mim_depth_swinv2")), "--dataset", "nyuv2"]
    words += ["--data-root", str(root), *sets(narrow)]
    found = evaluate(tmp_path, *words, "--json")
    assert found.returncode == 0, found.stderr
    measured = json.loads(found.stdout)
    assert measured["metrics"]["RMSE"]["n"] == 2
    assert measured["published"] == {}, "of an unknown size nothing is published"
    text = evaluate(tmp_path, *words)
    assert text.returncode == 0 and "RMSE *" in text.stdout


@pytest.mark.skipif(not DATA.is_dir(), reason="the data beside the repository are not there")
def test_real_rooms_are_learned(tmp_path: Path) -> None:
    """Passage and learning; rooms and sensors differ between training and test."""
    words = ["--dataset", "folder", "--data-root", str(DATA / "rgbd_room"), "--backbone", "simmim"]
    given = sets({"data.unit": 1000, "train.steps": 60})
    found = record(tmp_path, TASK, "runs", *words, *given)
    untrained = record(tmp_path, TASK, "runs", *words, *given, "--control", "untrained")
    assert found["metrics"]["RMSE"]["n"] == 26
    assert found["metrics"]["RMSE"]["value"] < untrained["metrics"]["RMSE"]["value"]


@pytest.mark.skipif(not DATA.is_dir(), reason="the data beside the repository are not there")
def test_kittis_frames_go_through_its_reader(tmp_path: Path) -> None:
    lists = {"data.lists.training": "files.txt", "data.lists.test": "files.txt"}
    found = record(
        tmp_path,
        TASK,
        "runs",
        *("--scale", "smoke", "--dataset", "kitti", "--data-root", str(DATA / "kitti_mini")),
        *("--backbone", "simmim"),
        *sets(lists | {"data.partial": True}),
    )
    assert found["metrics"]["RMSE"]["n"] == 4
