"""A wheel carries all that the first command needs: recipes and encoders are in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

HOUSE = Path(__file__).parents[2]
WHERE = "import harness, tasks, backbones, results as r\n"
WHERE += "print(*(m.__file__ for m in (harness, tasks, backbones, r)), sep='\\n')"


def test_a_wheel_runs_outside_of_the_repository(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=HOUSE, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(unpacked)
    # What lies on PYTHONPATH comes before the repository's own, editable installation.
    environment = os.environ | {
        "PYTHONPATH": str(unpacked),
        "HARNESS_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }

    def python(*words: str) -> str:
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert all(Path(file).is_relative_to(unpacked) for file in python("-c", WHERE).splitlines())
    words = ["--backbone", "simmim", "--task", "pose", "--scale", "smoke", "--offline", "--json"]
    record = json.loads(python("-m", "harness.cli.main", "run", *words))
    assert record["status"] == "finished"
    assert record["encoder_at_step0"]["equals_file"]
