"""`harness backbone`: fetching from a server on this machine, and the user's own files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backbones import LoadError
from backbones.entries import _read, catalogue
from harness.cli.main import call
from harness.console import Console
from harness.engine.plan import encoder
from harness.fetching import download_shown
from harness.options import RunOptions
from tests.backbones.server import Handler, Site, serving, status

CHECKPOINT = Path(__file__).parents[2] / "fixtures/checkpoints/simmim_vit/checkpoint.pth"
DATA = CHECKPOINT.read_bytes()
NAME = "simmim_vit_base"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(DATA)) as site:
        yield site


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> Path:
    """The cache; the catalogue's encoder is had from the server."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    # What the commands set is undone with what is set here.
    monkeypatch.setenv("HARNESS_OFFLINE", "0")
    monkeypatch.setenv("HARNESS_WEIGHTS", "")
    entries, *others = _read()
    here = replace(entries[NAME], source=f"{site.address}/weights.pth")
    known = ({**entries, NAME: here}, *others)
    monkeypatch.setattr("backbones.entries._read", lambda: known)
    return tmp_path / "cache/checkpoints"


def published() -> str:
    return catalogue()[NAME].file


def test_licence_and_size_come_first_then_place_and_hash(
    folder: Path, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["backbone", "fetch", NAME]) == 0
    out, err = capsys.readouterr()
    said = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert said["file"] == str(folder / published())
    assert said["sha256"] == hashlib.sha256(DATA).hexdigest()
    size = f"{len(DATA) / 2**20:.1f} MiB"
    assert re.search(rf"fetching {NAME}\n.*licence +MIT\n.*size +{size}\n", err, re.S)
    assert call(["backbone", "fetch", NAME, "--offline"]) == 0
    assert capsys.readouterr() == (out, "") and len(site.requests) == 1


@pytest.mark.parametrize("told", [True, False], ids=["Content-Length", "chunked"])
def test_the_size_is_shown_before_a_byte_comes(
    site: Site, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """The server keeps the whole body back until the size is there to be read."""
    shown = threading.Event()

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            if "size " in text:
                shown.set()
            return super().write(text)

    def wait(handler: Handler) -> None:
        handler.send_response(200)
        length = ("Content-Length", str(len(DATA)))
        handler.send_header(*(length if told else ("Transfer-Encoding", "chunked")))
        handler.end_headers()
        handler.wfile.flush()
        if not shown.wait(60):
            return
        handler.wfile.write(DATA if told else b"%x\r\n%s\r\n0\r\n\r\n" % (len(DATA), DATA))

    site.behaviours = [wait]
    monkeypatch.setattr("sys.stderr", screen := Screen())
    assert call(["backbone", "fetch", NAME]) == 0
    size = f"{len(DATA) / 2**20:.1f} MiB" if told else "not told by the server"
    assert re.search(rf"^  size +{size}$", screen.getvalue(), re.M)


def test_a_size_that_the_server_does_not_tell_is_the_catalogue_s() -> None:
    stream = io.StringIO()
    known = replace(catalogue()[NAME], size=7 << 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backbones.catalogue", lambda: {NAME: known})
        with download_shown(NAME, Console(stream)) as progress:
            progress(0, None)
    assert re.search(r"^  size +7.0 MiB$", stream.getvalue(), re.M)


def test_json_is_alone_on_stdout(
    folder: Path, site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(["backbone", "fetch", NAME, "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out) == {
        "name": NAME,
        "file": str(folder / published()),
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "size": len(DATA),
        "licence": "MIT",
        "source": f"{site.address}/weights.pth",
    }
    assert "fetching" in err


@pytest.mark.parametrize("words", [["backbone", "fetch", NAME], ["backbone", "check", NAME]])
def test_offline_and_wrong_files_end_in_one_line_without_a_request(
    words: list[str], tmp_path: Path, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for extra, reason in (
        (["--offline"], "this run is offline; get "),
        (["--weights-dir", str(own)], f"{own / published()} is an HTML page"),
        (["--weights-dir", str(tmp_path / "no")], "no is no folder"),
    ):
        (own / published()).write_text("<html>Sign in</html>")
        assert call([*words, *extra]) == 2
        out, err = capsys.readouterr()
        assert out == "" and len(err.splitlines()) == 1
        assert err.startswith("error: ") and reason in err
    assert site.requests == []


def test_a_file_of_one_s_own_is_checked_in_place(
    tmp_path: Path, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / published()
    path.write_bytes(DATA)
    assert call(["backbone", "check", NAME, "--weights-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(path)
    assert site.requests == []


def test_a_run_s_encoder_is_fetched_in_sight_and_never_offline(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe: Any = SimpleNamespace(scale="paper", backbone=SimpleNamespace(
        input_size=(32, 32), drop_path=0.0, drop_last=0, drop_mode="removed", arch=dict
    ))  # fmt: skip
    task: Any = SimpleNamespace(encoder=lambda *_: None)
    options, stream = RunOptions(backbone="simmim"), io.StringIO()
    monkeypatch.setenv("HARNESS_OFFLINE", "1")
    with pytest.raises(LoadError, match="this run is offline"):
        encoder(options, task, recipe, Console(stream))
    assert (stream.getvalue(), site.requests) == ("", [])
    monkeypatch.setenv("HARNESS_OFFLINE", "0")
    backbone = encoder(options, task, recipe, Console(stream))
    assert backbone.spec.sha256 == hashlib.sha256(DATA).hexdigest()
    assert stream.getvalue().startswith(f"fetching {NAME}\n")


def test_pretraining_takes_the_same_options(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("harness.cli.pretrain._train", lambda *words: asked.append(words))
    assert call(["pretrain", "--weights-dir", "my weights", "--offline"]) == 0
    assert (os.environ["HARNESS_WEIGHTS"], os.environ["HARNESS_OFFLINE"]) == ("my weights", "1")
    options, command, *_ = asked[0]
    assert (options.weights_dir, options.offline) == (Path("my weights"), True)
    assert "--weights-dir 'my weights'" in command and command.endswith("--offline")


def test_what_the_server_refuses_is_exit_code_2(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.behaviours = [status(404)]
    assert call(["backbone", "fetch", NAME]) == 2
    assert "has no such file (any more) (404)" in capsys.readouterr().err
    assert call(["backbone", "fetch", "simmim"]) == 2
    assert "is an objective" in capsys.readouterr().err


def test_a_log_has_the_terms_then_lines_of_progress() -> None:
    stream = io.StringIO()
    ticks = iter(range(100))
    console = Console(stream, interval=0, patience=0, clock=lambda: float(next(ticks)))
    with download_shown(NAME, console) as progress:
        for done in (1 << 20, 2 << 20, (2 << 20) + 1, 4 << 20):
            progress(done, 4 << 20)
    text = stream.getvalue()
    assert re.match(rf"fetching {NAME}\n(  .*\n)*  licence  MIT\n(  .*\n)*  size +4.0 MiB\n", text)
    lines = [line for line in text.splitlines() if line.startswith("fetch ")]
    assert len(lines) == 2
    assert lines[0].startswith(f"fetch {NAME}: 2/4 MiB")
    assert lines[1].startswith(f"fetch {NAME}: 4/4 MiB in ")


def test_nothing_is_shown_of_a_file_that_is_there() -> None:
    stream = io.StringIO()
    with download_shown(NAME, Console(stream, patience=0)):
        pass
    assert stream.getvalue() == ""
