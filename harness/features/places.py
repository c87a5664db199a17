"""Where features are kept."""

from __future__ import annotations

from pathlib import Path

LOCK = "lock"
"""Beside the folders of the sets: held while one is opened or taken away."""

IN_USE = "in-use"
"""In the folder of a set: held by whoever uses it; its time is that of the last opening."""


def cache() -> Path:
    """The cache folder: HARNESS_CACHE, or `harness` in the platform's cache folder."""
    from backbones.fetch import cache_root

    return cache_root()


def features() -> Path:
    """The folder of all features in the cache."""
    return cache() / "features"
