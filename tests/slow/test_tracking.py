"""The real command for tracking: it over-fits, and real sequences go through it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasks.microworld import Microworld
from tests.slow.command import record, sets, start

TASK = "tracking"
DATA = Path(__file__).parents[3] / "shared/data/tracking"


def world_as_folder(root: Path, count: int) -> Path:
    """Videos of microworld's training range in GOT-10k's layout, the same ones in all splits."""
    world = Microworld("training", count, "video", (128, 128), 0)
    for split in ("train", "val", "test"):
        names = [f"{split}_{index}" for index in range(count)]
        for index, name in enumerate(names):
            place = root / split / name
            place.mkdir(parents=True)
            lines = []
            for frame in range(world.frames_per_sample):
                pixels = np.ascontiguousarray(world.image(index, frame)[..., ::-1])
                assert cv2.imwrite(str(place / f"{frame + 1:08d}.jpg"), pixels)
                lines.append(_box(world, index, frame))
            (place / "groundtruth.txt").write_text("\n".join(lines) + "\n")
        (root / split / "list.txt").write_text("\n".join(names) + "\n")
    return root


def _box(world: Microworld, index: int, frame: int) -> str:
    found = world.annotations(index, frame)
    (target,) = (item for item in found.items if item.instance == found.target)
    return ",".join(f"{side:.4f}" for side in target.full_box)


def harness(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "harness.cli.main", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_one_sequence_is_over_fitted(tmp_path: Path) -> None:
    root = world_as_folder(tmp_path / "data", 1)
    # Search areas as for microworld: its targets fill half of the image.
    area = {"crop.template_factor": 1.5, "crop.search_factor": 3}
    given = sets({"train.steps": 350, "augmentation.grey": 0} | area)
    words = ["--dataset", "folder", "--data-root", str(root), "--backbone", "simmim", *given]
    found = record(tmp_path, TASK, "runs", *words)
    stays = record(tmp_path, TASK, "runs", *words, "--control", "constant")
    assert found["metrics"]["AO"]["value"] > 0.8
    assert stays["metrics"]["AO"]["value"] < 0.7


@pytest.mark.skipif(not DATA.is_dir(), reason="the data beside the repository are not there")
@pytest.mark.parametrize("kind", ["swintrack", "correlation"])
def test_real_sequences_are_followed(kind: str, tmp_path: Path) -> None:
    """Passage alone: four short sequences rank nothing."""
    given = {"model.type": kind, "train.steps": 20}
    words = ["--dataset", "folder", "--data-root", str(DATA), "--backbone", "simmim"]
    words += ["--protocol", "frozen", *sets(given)]
    found = record(tmp_path, TASK, "runs", *words)
    assert found["data"]["test"]["count"] == 4
    assert 0 < found["metrics"]["AO"]["value"] < 1
    (folder,) = (tmp_path / "runs").glob(f"{TASK}/*/*")
    film = harness(
        tmp_path, "show", "record", str(folder), "--sequence", "bolt", "--out", "bolt.gif"
    )
    assert film.returncode == 0, film.stderr
    assert (tmp_path / "bolt.gif").read_bytes().startswith(b"GIF8")


def test_sigkill_among_sequences_changes_no_bit(tmp_path: Path) -> None:
    """What was followed before is not followed again, and the rest as it would have been."""
    asked = {"data.count.test": 40, "test.batch": 2, "model.dim": 192, "model.heads": 6}
    words = ["--scale", "smoke", "--backbone", "simmim", *sets(asked)]
    whole = record(tmp_path, TASK, "whole", *words)
    process = start(tmp_path, TASK, "cut", *words)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if list((tmp_path / "cut").rglob("predicted-*.parquet")):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the moment was missed"
    again = record(tmp_path, TASK, "cut", *words)
    assert again["cost"]["steps_executed"] == 0
    assert again["files"] == whole["files"] and again["metrics"] == whole["metrics"]
    assert not list((tmp_path / "cut").rglob("predicted-*.parquet"))
