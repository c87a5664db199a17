"""`harness run`: options reach the engine as they are, and `--json` keeps stdout to itself."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.cli.main import call
from harness.options import RunOptions, as_command


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """What the engine is asked for; the engine itself is a stand-in."""
    seen: list[RunOptions] = []
    engine: Any = ModuleType("harness.engine.run")
    engine.run = lambda options, console: seen.append(options)
    monkeypatch.setattr("harness.engine.run", engine, raising=False)
    monkeypatch.setitem(sys.modules, "harness.engine.run", engine)
    return seen


def test_without_options_the_defaults_of_run_options_hold(asked: list[RunOptions]) -> None:
    assert call(["run"]) == 0
    assert asked == [RunOptions()]


def test_every_option_reaches_the_engine_and_the_command_repeats_it(
    asked: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_OFFLINE", "0")
    monkeypatch.setenv("HARNESS_WEIGHTS", "elsewhere")
    options = RunOptions(
        backbone="a file.pth",
        task="classification",
        dataset="nyu",
        data_root=Path("data root"),
        scale="paper",
        protocol="frozen",
        control="permuted-labels",
        seed=7,
        devices=2,
        precision="bf16",
        sets=("a.b=1", "c=[1, 2]"),
        config=Path("recipe.yaml"),
        output=Path("out"),
        results="sqlite:///x.sqlite",
        logger="tensorboard",
        limit=3,
        max_steps=9,
        workers=0,
        weights_dir=Path("my weights"),
        offline=True,
    )
    plain = RunOptions()
    assert all(getattr(options, f.name) != getattr(plain, f.name) for f in fields(options))
    assert call(shlex.split(as_command(options))[1:]) == 0
    assert asked == [options]
    assert os.environ["HARNESS_OFFLINE"] == "1"
    assert os.environ["HARNESS_WEIGHTS"] == "my weights"


NOISY = """
import os, subprocess, sys
from types import ModuleType
engine = ModuleType("harness.engine.run")
class Record:
    def model_dump(self, mode):
        return {"status": "finished", "command": "\\u2191"}
def run(options, console):
    print("python writes")
    os.write(1, b"C writes\\n")
    subprocess.run([sys.executable, "-c", "print('a child writes')"])
    console.header("header", [])
    console.note("progress")
    %s
    return Record()
engine.run = run
import harness.engine
harness.engine.run = sys.modules["harness.engine.run"] = engine
from harness.cli.main import call
code = call(["run", *sys.argv[1:]])
print("after")
sys.exit(code)
"""


def noisy(*arguments: str, then: str = "pass") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", NOISY % then, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_json_is_alone_on_stdout_whoever_prints() -> None:
    done = noisy("--json")
    record, after = done.stdout[: done.stdout.rindex("}") + 1], done.stdout.splitlines()[-1]
    assert json.loads(record) == {"status": "finished", "command": "↑"}
    assert after == "after"  # stdout is given back
    for words in ("python writes", "C writes", "a child writes", "header", "progress"):
        assert words in done.stderr
    assert done.returncode == 0


def test_a_run_that_fails_leaves_stdout_empty() -> None:
    done = noisy("--json", then="raise RuntimeError('broken')")
    assert done.stdout == "after\n"
    assert done.returncode == 1
    log = Path(done.stderr.rpartition("the log is ")[2].strip())
    assert "broken" in log.read_text()
    log.unlink()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_its_signal_s_code(number: signal.Signals) -> None:
    then = f"from harness.errors import Interrupted; raise Interrupted({int(number)})"
    done = noisy("--json", then=then)
    assert done.returncode == 128 + number
    assert done.stderr.splitlines()[-1] == "interrupted: repeat the command to continue"
    assert "Traceback" not in done.stderr


def test_ctrl_c_before_the_engine_takes_over_is_130_too() -> None:
    assert noisy(then="raise KeyboardInterrupt").returncode == 130
