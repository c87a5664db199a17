"""`harness run` in a process of its own, as users call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tasks.microworld import Microworld


def start(folder: Path, task: str, output: str, *words: str) -> subprocess.Popen[str]:
    """Start a run that works in `folder`. Each output has features of its own; what is rendered is
    shared."""
    cache = folder / f"cache-{output}"
    (folder / "world").mkdir(exist_ok=True)
    cache.mkdir(exist_ok=True)
    if not (cache / "microworld").exists():
        (cache / "microworld").symlink_to(folder / "world")
    environment = os.environ | {
        "HARNESS_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "harness.cli.main", "run", "--task", task, "--offline"]
    return subprocess.Popen(
        [*command, "--output", output, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def record(folder: Path, task: str, output: str, *words: str) -> dict[str, Any]:
    """The record, or what stands in its place, of a run that ends well."""
    process = start(folder, task, output, *words, "--json")
    out, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(out)
    return found


def sets(values: dict[str, Any]) -> list[str]:
    """The words that give a recipe these values."""
    return [
        word for name, value in values.items() for word in ("--set", f"{name}={json.dumps(value)}")
    ]


def write_folder(root: Path, name: str, world: Microworld, content: dict[str, Any]) -> None:
    """Scenes of a world in COCO's layout, the same ones as all three splits.

    Args:
        name: how the annotation files' names begin.
        content: of these files; the images' ids are the numbers of their scenes.
    """
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val", "test"):
        (root / f"annotations/{name}_{split}.json").write_text(json.dumps(content))
        (root / split).mkdir()
        for image in content["images"]:
            pixels = np.ascontiguousarray(world.image(image["id"])[..., ::-1])
            assert cv2.imwrite(str(root / split / image["file_name"]), pixels)
