"""Rendered data, encoders and features have one cache folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from backbones.fetch import checkpoints
from harness.features.places import cache
from tasks.microworld.storage import default_root


def test_a_tilde_means_the_same_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", "~/somewhere")
    wanted = Path.home() / "somewhere"
    assert [cache(), default_root(), checkpoints().parent] == [wanted] * 3
