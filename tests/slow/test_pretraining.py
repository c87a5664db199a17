"""An encoder is pre-trained, exported, loaded and verified; the shipped one holds."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import backbones


def harness(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HARNESS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "harness.cli.main", *words]
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_an_encoder_goes_out_and_comes_back(tmp_path: Path) -> None:
    made = harness(tmp_path, "pretrain", "--scale", "smoke", "--name", "small", "--workers", "0")
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


@pytest.mark.parametrize(
    ("objective", "narrow"),
    [
        ("simmim", {}),
        ("mae", {"decoder_embed_dim": 32, "decoder_depth": 1, "decoder_num_heads": 2}),
    ],
)
def test_paper_recipes_run_on_imagenets_layout(
    objective: str, narrow: dict[str, int], tmp_path: Path
) -> None:
    """Overridden: width, depth, heads, decoder, image size 224 to 64, batch size, length."""
    rng = np.random.default_rng(0)
    for name in ("train/a/0", "train/a/1", "train/b/2", "train/b/3", "val/a/0", "val/b/1"):
        path = tmp_path / f"images/{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(path)
    sets = {"encoder.embed_dim": 48, "encoder.depth": 2, "encoder.num_heads": 3}
    sets |= {f"encoder.{key}": value for key, value in narrow.items()}
    words = [f"{key}={value}" for key, value in sets.items()]
    words += ["backbone.input_size=[64, 64]", "train.batch_size=4"]
    made = harness(
        tmp_path,
        *("pretrain", "--scale", "paper", "--objective", objective, "--max-steps", "3"),
        *("--data-root", "images", "--workers", "0", "--name", objective),
        *(word for assignment in words for word in ("--set", assignment)),
    )
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "pretrained" / objective
    backbone = backbones.load(
        folder / "encoder.safetensors", arch={"num_heads": 3}, keep=("decoder",)
    )
    assert backbone.spec.objective == objective
    losses = [float(line.split(",")[2]) for line in _lines(folder / "loss.csv")[1:]]
    assert len(losses) == 3
    assert all(math.isfinite(loss) for loss in losses)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.mark.parametrize("name", [n for n, e in backbones.catalogue().items() if e.shipped])
def test_a_shipped_encoder_holds(name: str, tmp_path: Path) -> None:
    """On a copy, so that nothing in the package changes; the scenes are rendered anew."""
    copy = tmp_path / name
    shutil.copytree(backbones.catalogue()[name].shipped_path.parent, copy)
    gates = json.loads((copy / "evidence.json").read_text())["gates"]
    found = harness(tmp_path, "pretrain", "verify", str(copy))
    assert found.returncode == 0, found.stdout + found.stderr
    # One line a gate, and one for the recorded figures.
    assert len(gates) >= 2 and found.stdout.count("PASS") == len(gates) + 1
