from __future__ import annotations

from pathlib import Path

import pytest

from harness.features.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "features", allowed=10**9)
