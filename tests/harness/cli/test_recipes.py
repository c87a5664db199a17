"""Recipes by name, and recipes that were published for other encoders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import backbones
from harness.cli.main import call
from harness.options import RunOptions
from harness.recipes import load_resolved, require_family, resolve
from tasks.contract import RecipeError
from tests.harness.cli.test_bad_input import said
from tests.tasks.pose.folders import make

SMOKE = ["run", "--task", "pose", "--scale", "smoke", "--workers", "0", "--limit", "2"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own, so that a user's is not written to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def swin(tmp_path: Path) -> str:
    arch = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": 1, "window_size": 4}
    path = tmp_path / "swin.safetensors"
    backbones.save(backbones.create("swin", arch, 128, seed=0), path, {"name": "swin"})
    return str(path)


def test_a_recipe_for_other_families_is_refused(
    swin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = [*SMOKE, "--backbone", swin, "--output", str(tmp_path / "out")]
    told = said([*only, "--set", "families=[vit, beit]"], capsys)
    assert "`smoke` is a recipe for vit, beit, the encoder is of family swin" in told
    assert "--set families=null" in told
    assert not (tmp_path / "out").exists()


def test_the_paper_recipe_says_which_is_for_swinv2() -> None:
    paper = RunOptions(task="pose", scale="paper", dataset="coco", data_root=Path("data"))
    with pytest.raises(RecipeError, match="take --config paper-swinv2 for it, or"):
        require_family(resolve(paper), "swinv2", paper)
    with pytest.raises(RecipeError) as raised:
        require_family(resolve(paper), "swin", paper)
    assert "--config" not in str(raised.value) and "families=null" in str(raised.value)
    for family in ("vit", "beit", "eva"):
        require_family(resolve(paper), family, paper)


def test_null_takes_it_all_the_same(tmp_path: Path) -> None:
    paper = RunOptions(
        task="pose", scale="paper", dataset="coco", data_root=tmp_path, sets=("families=null",)
    )
    require_family(resolve(paper), "swin", paper)


def test_a_recipe_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["show", "recipe", "pose", "--config", "paper-swinv2", "--json"]) == 0
    shown = load_resolved("pose", json.loads(capsys.readouterr().out))
    named = RunOptions(task="pose", config=Path("paper-swinv2"))
    assert shown.families == ("swinv2",) == resolve(named).families
    told = said(["show", "recipe", "pose", "--config", "paper-swinv3"], capsys)
    assert "neither a recipe file nor one of task `pose`: " in told and "paper-swinv2" in told


def test_a_file_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without a suffix that is called like a recipe is what was meant."""
    make(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    Path("paper").write_text("task: pose\n")
    with pytest.raises(RecipeError, match="`data`"):
        resolve(RunOptions(task="pose", config=Path("paper")))
