"""The example package: its encoder is known by name, keeps the contract, and runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import backbones
from harness.testing import check_encoder
from tests.plugins import EXAMPLE, HOUSE, refused, shown


def test_the_example_keeps_the_contract(site: Path) -> None:
    check_encoder("mycnn")


def test_the_example_is_known_by_name(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = shown(capsys, "list", "backbones")
    assert "mycnn 0.1.0  Small convolutional encoder" in listed
    assert json.loads(shown(capsys, "list", "backbones", "--json"))[-1]["name"] == "mycnn"
    loaded = backbones.load("mycnn", input_size=64)
    assert loaded.spec.sha256 is not None and loaded.spec.package == "mycnn 0.1.0"
    for words in (("backbone", "check", "mycnn"), ("show", "backbone", "mycnn")):
        page = shown(capsys, *words)
        assert loaded.spec.sha256 in page
        assert "16 tensors in the file" in page and "16  used as they are" in page
        assert json.loads(shown(capsys, *words, "--json"))["encoder"]["package"] == "mycnn 0.1.0"
    assert "did you mean mycnn?" in refused(capsys, "run", "--backbone", "mycn")
    assert "no file to look for" in refused(capsys, "backbone", "fetch", "mycnn")


def test_the_example_runs(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", "--backbone", "mycnn", "--task", "pose", "--scale", "smoke"]
    shown(capsys, *words, "--set", "train.steps=1")
    (path,) = tmp_path.glob("runs/pose/mycnn/*/record.json")
    record = json.loads(path.read_text())
    assert record["status"] == "finished" and record["encoder_at_step0"]["equals_file"]
    loaded = backbones.load("mycnn", input_size=128)
    assert record["backbone"]["sha256"] == loaded.spec.sha256
    assert record["identity"]["backbone"] == {
        "name": "mycnn",
        "package": "mycnn 0.1.0",
        "sha256": loaded.spec.sha256,
        "parameters": loaded.loaded_sha256,
    }
    assert "offered by the package mycnn 0.1.0" in record["backbone"]["notes"]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ("backbone.drop_path=0.1", "has no drop_path, which is to be 0.1; what can be given: inpu"),
        ("backbone.drop_last=1", "has no drop_last, which is to be 1"),
        ("backbone.mean=[0.5,0.5,0.5]", "has no arch, which is to be {'mean': (0.5, 0.5, 0.5)}"),
    ],
)
def test_what_an_encoder_does_not_take_is_refused(
    site: Path, capsys: pytest.CaptureFixture[str], sets: str, said: str
) -> None:
    words = ["run", "--backbone", "mycnn", "--scale", "smoke", "--set", sets]
    assert f"`mycnn` of the package mycnn 0.1.0 {said}" in refused(capsys, *words)


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (HOUSE / "docs" / "plugins.md").read_text(encoding="utf-8")
    for language, name in (("toml", "pyproject.toml"), ("python", "mycnn/__init__.py")):
        assert f"```{language}\n{(EXAMPLE / name).read_text(encoding='utf-8')}```" in page
