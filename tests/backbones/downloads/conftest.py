"""A server, an empty cache, and an encoder that the server has."""

from __future__ import annotations

from dataclasses import replace

import pytest

import backbones
from backbones import download
from tests.backbones.downloading import DATA
from tests.backbones.server import Site, serving


@pytest.fixture
def site():
    with serving(Site(DATA)) as site:
        yield site


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("HARNESS_OFFLINE", "HARNESS_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    # Longer than any machine takes to answer: only what stalls on purpose may run into it.
    monkeypatch.setattr(download, "PATIENCE", download.Patience(20.0, (0.0, 0.0)))
    return tmp_path / "checkpoints"


@pytest.fixture
def entry(site):
    known = backbones.catalogue()["mae_vit_base"]
    return replace(known, source=f"{site.address}/file.pth", md5_prefix=None)
