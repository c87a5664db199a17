"""`harness cache`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.features.store import Store
from tests.harness.features.sets import COUNT, KEY, ORIGIN, SHAPES, SHARD, filled


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setenv("HARNESS_FEATURES_LIMIT", "2")
    (tmp_path / "microworld" / "v1").mkdir(parents=True)
    (tmp_path / "microworld" / "v1" / "images.npy").write_bytes(bytes(1234))
    return tmp_path


def test_show(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with filled(Store()) as found:
        name = found.folder.name
        other = replace(ORIGIN, encoder="mae_vit_micro")
        half = replace(KEY, encoder="f" * 64, dtype="float16")
        Store().open(half, COUNT, SHAPES, other, SHARD).close()
        assert call(["cache", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "key"
    assert "mae_vit_micro     microworld  test   map0, pooled (float16)  10" in lines[1]
    assert lines[1].endswith("0 of 3 shards")
    assert lines[2].startswith(f"{name}  simmim_vit_micro")
    assert lines[2].endswith("complete, in use")
    assert lines[3].startswith("2 sets of features, ")
    assert lines[3].endswith(" kB of at most 2 GB")
    assert lines[4:] == [f"in {cache}, beside them:", "  microworld  1.23 kB"]


def test_show_as_json(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(Store()).close()
    assert call(["cache", "show", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (one,) = said["features"]
    assert one["manifest"]["key"] == KEY.as_dict()
    assert (one["state"], one["in_use"], one["there"]) == ("complete", False, 3)
    assert said["bytes"] == one["bytes"] > 0
    assert (said["limit"], said["others"]) == (2 * 10**9, {"microworld": 1234})


def test_show_where_there_is_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(cache / "none"))
    assert call(["cache", "show"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "0 sets of features, 0 B of at most 2 GB"


def test_clear(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with filled(Store()) as found:
        pass
    assert call(["cache", "clear", "--older-than", "1"]) == 0
    assert capsys.readouterr().out == "nothing removed\n"
    size = sum(path.stat().st_size for path in found.folder.iterdir())
    assert call(["cache", "clear", found.folder.name[:9]]) == 0
    first, _ = capsys.readouterr().out.splitlines()
    called = f"{found.folder.name} (simmim_vit_micro, microworld test)"
    assert first == f"removed {called}, {size:,} bytes"
    assert (cache / "microworld" / "v1" / "images.npy").exists()


def test_clear_leaves_what_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with filled(Store()) as found:
        assert call(["cache", "clear", "--features"]) == 0
        assert found.missing() == []
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"in use by a running process, left: {found.folder.name}")
    assert said[1:] == ["nothing removed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say what to remove"),
        (["--features", "ab"], "say what to remove"),
        (["nothing"], "no set of features has the key `nothing`; there are: "),
    ],
)
def test_bad_input(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with filled(Store()) as found:
        pass
    assert call(["cache", "clear", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert found.folder.exists()
    if arguments == ["nothing"]:
        assert found.folder.name in said


def test_the_cache_is_shown_without_torch() -> None:
    code = (
        "import sys; from harness.cli.main import call; "
        "code = call(['cache', 'show']); sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
