"""An encoder is pre-trained, exported, loaded and verified; the shipped one holds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import backbones


def harness(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HARNESS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "harness.cli.main", *words]
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_an_encoder_goes_out_and_comes_back(tmp_path: Path) -> None:
    made = harness(tmp_path, "pretrain", "--scale", "smoke", "--name", "small")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "pretrained/small"
    files = {"encoder.safetensors", "recipe.yaml", "loss.csv", "provenance.json"}
    assert {path.name for path in folder.iterdir()} == files
    assert len((folder / "loss.csv").read_text().splitlines()) == 1 + 10
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["images_seen"] == 80
    assert provenance["data"]["training"]["count"] == 64
    backbone = backbones.load(folder / "encoder.safetensors", keep=("decoder",))
    assert backbone.spec.objective == "simmim"
    assert backbone.input_size == (64, 64)

    first = harness(tmp_path, "pretrain", "verify", "pretrained/small", "--scenes", "16")
    assert first.returncode == 1, first.stderr
    assert "FAIL  unseen scenes: 16 >= 512" in first.stdout
    recorded = (folder / "evidence.json").read_bytes()
    again = harness(tmp_path, "pretrain", "verify", "pretrained/small", "--scenes", "16", "--json")
    assert again.returncode == 1
    assert json.loads(again.stdout)["differences"] == []
    assert (folder / "evidence.json").read_bytes() == recorded

    other = harness(tmp_path, "pretrain", "--scale", "smoke", "--name", "small", "--seed", "1")
    assert other.returncode == 2
    assert "holds another encoder" in other.stderr


@pytest.mark.parametrize("name", [n for n, e in backbones.catalogue().items() if e.shipped])
def test_a_shipped_encoder_holds(name: str, tmp_path: Path) -> None:
    """On a copy, so that nothing in the package changes; the scenes are rendered anew."""
    copy = tmp_path / name
    shutil.copytree(backbones.catalogue()[name].shipped_path.parent, copy)
    assert (copy / "evidence.json").exists()
    found = harness(tmp_path, "pretrain", "verify", str(copy))
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("PASS") == 4
