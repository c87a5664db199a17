"""Two processes are stopped as one."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.engine.test_run import folder_of, started


def record_of(output: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder_of(output) / "record.json").read_text())
    except (ValueError, OSError):
        return {}
    return found


def test_a_signal_waits_for_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process, which has nothing to save, must not end the first one meanwhile:
    Lightning kills it within 5 s of a child that ends badly."""
    monkeypatch.setenv("SLOW_STATE", "8")
    process = started(tmp_path, devices=2, pause=0.1)
    deadline = time.monotonic() + 200
    while not list(tmp_path.rglob("state.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != -signal.SIGKILL, errors
    left = record_of(tmp_path)
    assert left["status"] == "interrupted", errors
    assert left["step"] > 7
    monkeypatch.delenv("SLOW_STATE")
    process = started(tmp_path, devices=2)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    again = record_of(tmp_path)
    assert again["status"] == "finished"
    assert again["resumed_from_step"] == left["step"]
