"""What the tests of downloads share: two files of one size, and what is left or said."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

import backbones
from backbones import fetch

HTML = b"<!doctype html><title>Sign in</title>"


def weights(seed: int, count: int = 30_000) -> bytes:
    buffer = io.BytesIO()
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    torch.save({"model": {"a": values}}, buffer)
    return buffer.getvalue()


DATA, OTHER = weights(0), weights(1)
SIZE, HALF = len(DATA), 60_000


def left(folder: Path) -> list[str]:
    """Names of what lies in the cache, apart from the lock."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def refused(entry: backbones.Entry, match: str) -> str:
    with pytest.raises(backbones.LoadError, match=match) as caught:
        fetch.get(entry)
    assert "\n" not in str(caught.value)
    return str(caught.value)
