"""The scenes of the embedded world, with the depth of every pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.contract import Split
from tasks.depth.maps import Stored
from tasks.depth.recipe import DepthData
from tasks.depth.sources.contract import Source
from tasks.microworld import Microworld

_MILLIMETRES = 1000.0


@dataclass(frozen=True)
class World(Source):
    """One split of the world's scenes."""

    world: Microworld
    kb_crop: bool = False
    licence: str = "generated; no terms"
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.world)

    def name(self, row: int) -> str:
        return f"scene/{self.world.split}/{row}"

    def place(self, row: int) -> tuple[str, str]:
        return self.name(row), f"the depth of {self.name(row)}"

    def image(self, row: int) -> NDArray[np.uint8]:
        return self.world.image(row)

    def depth(self, row: int) -> Stored:
        millimetres = np.rint(self.world.depth(row) * np.float32(_MILLIMETRES))
        return Stored(millimetres.astype(np.uint16), _MILLIMETRES)

    def digest(self, rows: Sequence[int]) -> str:
        sha256 = self.world.manifest["sha256"]
        return hashlib.sha256(f"{sha256}\n{list(rows)}".encode()).hexdigest()


def scenes(data: DepthData, split: Split) -> Microworld:
    """The part of the world behind a split."""
    return Microworld(split, getattr(data.count, split), "scene", data.size, data.seed)


def open_world(data: DepthData, split: Split) -> World:
    """The split, rendered if the cache lacks it."""
    world = scenes(data, split)
    _ = world.manifest  # Once, before threads ask for it.
    return World(world)
