"""docs/plugins.md, followed to the letter: from an empty folder to a record."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.plugins import EXAMPLE, HOUSE, environment, install

PAGE = (HOUSE / "docs" / "plugins.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
INSTALLATION = "uv pip install --no-deps ."


def test_from_an_empty_folder_to_a_run(tmp_path: Path) -> None:
    source, site, elsewhere = tmp_path / "source", tmp_path / "site", tmp_path / "elsewhere"
    for folder in (source / "mycnn", elsewhere):
        folder.mkdir(parents=True)
    for name in ("pyproject.toml", "mycnn/__init__.py"):
        (source / name).write_text((EXAMPLE / name).read_text())
    before = COMMANDS.index(INSTALLATION)
    said = {line: _run(line, source, environment(source)) for line in COMMANDS[:before]}
    install(source, site)
    inside = environment(site) | {
        "HARNESS_CACHE": str(tmp_path / "cache"),
        "HARNESS_OFFLINE": "1",
    }
    said |= {line: _run(line, elsewhere, inside) for line in COMMANDS[before + 1 :]}
    assert "mycnn 0.1.0" in said["harness list backbones"]
    assert "16 tensors in the file" in said["harness backbone check mycnn"]
    (path,) = elsewhere.glob("runs/pose/mycnn/*/record.json")
    record = json.loads(path.read_text())
    assert record["status"] == "finished" and record["encoder_at_step0"]["equals_file"]
    assert record["identity"]["backbone"]["package"] == "mycnn 0.1.0"


def _run(line: str, folder: Path, surroundings: dict[str, str]) -> str:
    """What a command says, python and harness being those of this test."""
    program, *words = shlex.split(line)
    ours = {"python": [sys.executable], "harness": [sys.executable, "-m", "harness.cli.main"]}
    done = subprocess.run(
        [*ours[program], *words], cwd=folder, env=surroundings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
