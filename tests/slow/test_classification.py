"""The real command for classification: it over-fits, survives kills, shares work."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.microworld import Microworld
from tests.slow.command import record, start

TASK = "classification"
IMAGES = 32
DRAWN = ("mix={mixup: 0.8, cutmix: 1.0}", "augmentation.erasing={probability: 0.9}")
SETS = ("train.steps=14", "train.state_every=5", *DRAWN)
SHORT = [
    "--backbone",
    "simmim",
    "--scale",
    "smoke",
    *(word for setting in SETS for word in ("--set", setting)),
]
FROZEN = ["--backbone", "simmim", "--scale", "smoke", "--protocol", "frozen"]
# Features are kept by 256 samples: three parts, one and two.
FROZEN += ["--set", "data.count={training: 600, selection: 12, test: 300}"]


def numbers(found: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on how a run came about."""
    return {"metrics": found["metrics"], "files": found["files"], "cell": found["cell"]}


def killed(process: subprocess.Popen[str], reached: Any) -> None:
    """End a run without a word once `reached()`."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if reached():
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.0005)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the moment was missed"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("classification")
    return folder, record(folder, TASK, "undisturbed", *SHORT)


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("frozen")
    return folder, record(folder, TASK, "undisturbed", *FROZEN)


def test_thirty_two_images_are_over_fitted(tmp_path: Path) -> None:
    """The same images in all three splits, with labels that have nothing to do with them."""
    world = Microworld("training", IMAGES, "fine", (64, 64), 0)
    labels = np.random.default_rng(0).permutation(IMAGES) % 4
    for split in ("train", "val", "test"):
        for number, label in enumerate(labels):
            folder = tmp_path / "images" / split / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(world.image(number)).save(folder / f"{number}.png")
    sets = {
        "backbone.input_size": [64, 64],
        "data.duplicates": "count",
        "augmentation.crop": "null",
        "augmentation.flip": 0.0,
        "backbone.drop_path": 0.0,
        "head.smoothing": 0.0,
        "test.crop_share": 1.0,
        "optimizer.lr": 1e-3,
        "optimizer.layer_decay": 1.0,
        "train.epochs": 60,
        "train.batch_size": 16,
        "schedule.warmup": 2,
    }
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    words += ["--backbone", "simmim", "--dataset", "folder", "--data-root", "images"]
    found = record(tmp_path, TASK, "runs", *words)
    assert found["metrics"]["accuracy"]["n"] == IMAGES
    assert found["metrics"]["accuracy"]["value"] > 0.95


def test_sigkill_in_training_changes_no_bit(undisturbed: tuple[Path, dict[str, Any]]) -> None:
    """With mixing, erasing and smoothing, whose draws must be those of the step."""
    folder, whole = undisturbed
    process = start(folder, TASK, "killed", *SHORT)
    killed(process, lambda: list((folder / "killed").rglob("state.ckpt")))
    again = record(folder, TASK, "killed", *SHORT)
    assert numbers(again) == numbers(whole)
    assert again["resumed_from_step"] in (5, 10)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_workers_change_no_bit(undisturbed: tuple[Path, dict[str, Any]], workers: str) -> None:
    folder, whole = undisturbed
    assert numbers(record(folder, TASK, f"w{workers}", *SHORT, "--workers", workers)) == numbers(
        whole
    )


def test_two_processes_see_what_one_sees(undisturbed: tuple[Path, dict[str, Any]]) -> None:
    """Partners of mixing among them."""
    folder, whole = undisturbed
    other = record(folder, TASK, "two", *SHORT, "--devices", "2")
    assert other["cell"] == whole["cell"]
    first, last = (
        [
            [float(value) for value in line.split(",")]
            for line in next((folder / o).rglob("curves.csv")).read_text().split()[1:]
        ]
        for o in ("undisturbed", "two")
    )
    # Other partners would move the loss by percents.
    np.testing.assert_allclose(first, last, rtol=1e-3)


def test_sigkill_among_features_changes_no_bit(probed: tuple[Path, dict[str, Any]]) -> None:
    folder, whole = probed
    process = start(folder, TASK, "killed", *FROZEN)
    killed(process, lambda: list((folder / "cache-killed").rglob("00000.json")))
    assert numbers(record(folder, TASK, "killed", *FROZEN)) == numbers(whole)


def test_two_processes_share_the_features(probed: tuple[Path, dict[str, Any]]) -> None:
    folder, whole = probed
    other = record(folder, TASK, "two", *FROZEN, "--devices", "2")
    assert numbers(other) == numbers(whole)
    assert numbers(record(folder, TASK, "workers", *FROZEN, "--workers", "0")) == numbers(whole)


@pytest.mark.parametrize("protocol", ["finetune", "frozen"])
def test_controls_run(tmp_path: Path, protocol: str) -> None:
    words = ["--backbone", "simmim", "--scale", "smoke", "--protocol", protocol]
    found = {
        control: record(tmp_path, TASK, "runs", *words, "--control", control)
        for control in ("untrained", "constant", "permuted-labels", "random")
    }
    assert len({each["cell"] for each in found.values()}) == 4
    # Twelve classes, equally frequent: one of them is named for all images.
    assert found["constant"]["metrics"]["accuracy"]["value"] == pytest.approx(1 / 12)
    assert not found["random"]["encoder_at_step0"]["equals_file"]
    assert found["permuted-labels"]["encoder_at_step0"]["equals_file"]
