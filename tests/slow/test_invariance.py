"""What must change no number of a task that is trained by steps: kills, workers, processes."""

from __future__ import annotations

import csv
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.slow.command import record, start

STEPS = 14
SHORT = ["--scale", "smoke", "--backbone", "simmim", "--set", f"train.steps={STEPS}"]
SHORT += ["--set", "train.state_every=5", "--set", "dynamics.points=2"]
ODD: dict[str, list[str]] = {"pose": [], "depth": ["--set", "data.count.test=7"]}
ODD["detection"] = ODD["depth"]
ODD["tracking"] = ["--set", "data.count.test=5"]


def numbers(found: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on how a run came about: metrics, and hashes of its outputs."""
    files = {n: h for n, h in found["files"].items() if n != "recipe.yaml"}
    return {"metrics": found["metrics"], "files": files, "cell": found["cell"]}


Whole = tuple[str, Path, dict[str, Any]]


@pytest.fixture(scope="module", params=list(ODD))
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    task: str = request.param
    folder = tmp_path_factory.mktemp(task)
    return task, folder, record(folder, task, "undisturbed", *SHORT, *ODD[task])


def _moment(output: Path, task: str, moment: str) -> bool:
    """Whether a run that writes into `output` is at this moment."""
    (folder,) = list(output.glob(f"{task}/*/*")) or [output]
    saved = folder / "state.ckpt"
    if moment == "training":
        return saved.exists()
    if moment == "writing":
        return saved.exists() and (folder / "state.ckpt.part").exists()
    return saved.exists() and torch.load(saved, weights_only=True)["step"] == STEPS


@pytest.mark.parametrize(
    ("moment", "steps"), [("training", 5), ("writing", 5), ("evaluation", STEPS)]
)
def test_sigkill_changes_no_bit(undisturbed: Whole, moment: str, steps: int) -> None:
    task, folder, whole = undisturbed
    if task != "pose" and moment != "training":
        pytest.skip("how a state is written is the same for all tasks")
    process = start(folder, task, moment, *SHORT, *ODD[task])
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if _moment(folder / moment, task, moment):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.0005)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the moment was missed"
    again = record(folder, task, moment, *SHORT, *ODD[task])
    assert numbers(again) == numbers(whole)
    # A write that was cut off is none; one that was renamed before the kill came is one.
    assert again["resumed_from_step"] >= steps
    assert again["cost"]["steps_executed"] == STEPS - again["resumed_from_step"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_workers_change_no_bit(undisturbed: Whole, workers: str) -> None:
    task, folder, whole = undisturbed
    other = record(folder, task, f"workers{workers}", *SHORT, *ODD[task], "--workers", workers)
    assert numbers(other) == numbers(whole)


def test_two_processes_see_what_one_sees(undisturbed: Whole) -> None:
    task, folder, whole = undisturbed
    other = record(folder, task, "two", *SHORT, *ODD[task], "--devices", "2")
    assert other["cell"] == whole["cell"]
    name = whole["primary"]
    assert other["metrics"][name]["n"] == whole["metrics"][name]["n"]
    assert whole["data"]["test"]["count"] % 2 == 1, "a padded sample would show"
    first, last = (_curves(folder / output, task) for output in ("undisturbed", "two"))
    # Other samples in a step would move the loss by percents; the order of sums, over 14 steps, by
    # less than a thousandth.
    np.testing.assert_allclose(first, last, rtol=1e-3)


def _curves(output: Path, task: str) -> list[list[float]]:
    with next(output.glob(f"{task}/*/*/curves.csv")).open() as file:
        return [list(map(float, row.values())) for row in csv.DictReader(file)]
