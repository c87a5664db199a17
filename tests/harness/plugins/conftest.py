"""Where packages are installed for a test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import plugins
from tests.plugins import copy_example, install


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed, its weights drawn as its page says."""
    folder = tmp_path_factory.mktemp("example")
    source = copy_example(folder / "source")
    sys.path.insert(0, str(source))
    try:
        importlib.import_module("mycnn").train()
    finally:
        sys.path.remove(str(source))
        del sys.modules["mycnn"]
    install(source, folder / "site")
    return folder / "site"


@pytest.fixture
def site(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages beside the example's; what it brings is forgotten after."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("HARNESS_OFFLINE", "1")
    monkeypatch.syspath_prepend(str(example))
    monkeypatch.syspath_prepend(str(folder))
    plugins.task.cache_clear()
    yield folder
    plugins.task.cache_clear()
    for name in [n for n in sys.modules if n == "mycnn" or n.endswith("_module")]:
        del sys.modules[name]
