"""Broken and hostile checkpoints end a command in one line, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import call
from tests.backbones import mutants

KINDS = (
    *("missing", "transposed", "not_a_number", "replaced_by_another_architecture"),
    *("truncated", "html_in_its_place", "tensor_in_zip", "safetensors_length_of_header"),
    *("code_in_pickle", "zip_bomb", "claimed_storage", "tar_with_link", "pipe"),
)


@pytest.fixture(params=KINDS)
def mutant(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return str(mutants.made(request.param, "simmim_vit", 0, tmp_path / "mutant")[0])


def test_check(mutant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["backbone", "check", mutant]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {mutant}") and err.count("\n") == 1


def test_run(mutant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--task", "pose", "--scale", "smoke", "--output", str(tmp_path / "runs")]
    assert call(["run", "--backbone", mutant, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {mutant}") and err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
