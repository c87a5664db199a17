"""Published data sets and recipes of classification, in small: every way is open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import backbones
from tasks.classification.datasets.catalogue import KORNBLITH12, PUBLICATIONS
from tests.slow.command import record, start
from tests.tasks.classification.datasets.miniatures import make

TASK = "classification"
FEW = ("data.partial=true", "probe.kind=knn", "probe.knn.k=2", "probe.features=[pooled]")
SMALL = ["--workers", "0"]
SMALL += [word for setting in FEW for word in ("--set", setting)]


def test_the_twelve_run_as_a_group(tmp_path: Path) -> None:
    for name in KORNBLITH12:
        make(name, tmp_path / "sets" / name)
    words = ("--scale", "smoke", "--protocol", "frozen", "--dataset", "kornblith12", *SMALL)
    words += ("--backbone", "simmim", "--data-root", "sets")
    whole = record(tmp_path, TASK, "runs", *words)
    assert list(whole["records"]) == list(KORNBLITH12)
    for name, each in whole["records"].items():
        assert each["primary"] == PUBLICATIONS[name].figure
        assert each["dataset"] == name
    figures = [r["metrics"][r["primary"]]["value"] for r in whole["records"].values()]
    assert whole["mean"]["value"] == pytest.approx(sum(figures) / 12)
    (tmp_path / "sets/dtd").rename(tmp_path / "elsewhere")
    process = start(tmp_path, TASK, "runs", *words, "--json")
    out, errors = process.communicate(timeout=900)
    assert process.returncode == 2
    assert "1 of 12 data sets" in errors.splitlines()[-1]
    part = json.loads(out)
    assert part["mean"] is None
    assert list(part["missing"]) == ["dtd"]
    assert len(part["records"]) == 11


@pytest.mark.parametrize("name", [name for name in PUBLICATIONS if name not in KORNBLITH12])
def test_the_other_published_sets_run(name: str, tmp_path: Path) -> None:
    make(name, tmp_path / "data")
    words = ("--scale", "smoke", "--protocol", "frozen", "--dataset", name, *SMALL)
    words += ("--backbone", "simmim", "--data-root", "data")
    found = record(tmp_path, TASK, "runs", *words)
    assert found["status"] == "finished"
    assert found["primary"] == PUBLICATIONS[name].figure


WINDOWS = {"patch_size": 4, "embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": 1}
NARROW: dict[str, tuple[str, dict[str, Any]]] = {
    "paper-mae": ("vit", {"embed_dim": 12, "depth": 2, "num_heads": 1, "patch_size": 16}),
    "paper-simmim": ("beit", {"embed_dim": 12, "depth": 2, "num_heads": 1, "patch_size": 16}),
    "paper-simmim-swin": ("swin", {**WINDOWS, "window_size": 7}),
    "paper-simmim-swinv2": ("swinv2", {**WINDOWS, "window_size": 14}),
    "paper-swin": ("swin", {**WINDOWS, "window_size": 7}),
    "paper-folder": ("vit", {"embed_dim": 12, "depth": 2, "num_heads": 1, "patch_size": 16}),
}


@pytest.mark.parametrize("name", list(NARROW))
def test_published_recipes_run_on_the_official_layout(name: str, tmp_path: Path) -> None:
    """Overridden: the encoder (narrow, new, read from its file), batch size, length, `partial`, and
    on a processor without half precision `precision`. All the rest is as published: sizes, windows,
    augmentation, mixing, erasing, schedule."""
    family, arch = NARROW[name]
    make("imagenet", tmp_path / "data")
    path = tmp_path / f"{family}.safetensors"
    encoder = backbones.create(family, arch, (224, 224), seed=0)
    backbones.save(encoder, path, {"name": family})
    sets = ("data.partial=true", "train.batch_size=4", "features.batch_size=4")
    words = ["--config", name, "--dataset", "imagenet", "--data-root", "data", "--workers", "0"]
    words += ["--backbone", str(path), "--precision", "32"]
    words += [] if name == "paper-folder" else ["--max-steps", "3"]
    words += [word for setting in sets for word in ("--set", setting)]
    found = record(tmp_path, TASK, "runs", *words)
    assert found["encoder_at_step0"]["equals_file"]
    recipe = found["recipe"]
    assert recipe["backbone"]["input_size"] == [224, 224]
    if name == "paper-folder":
        assert (recipe["protocol"], recipe["probe"]["kind"]) == ("frozen", "logistic")
        assert found["choice"] is not None
        return
    assert found["step"] == 3
    assert recipe["augmentation"]["rand_augment"]["magnitude"] == 9
    assert (recipe["mix"]["mixup"], recipe["mix"]["cutmix"]) == (0.8, 1.0)
    assert recipe["head"]["smoothing"] == 0.1
