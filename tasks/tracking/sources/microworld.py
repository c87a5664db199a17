"""The videos of the embedded world: a target among look-alikes, seen by a moving camera.

The box is that of all the target's pixels inside the image, hidden ones included. It is absent, and
the box unknown, where fewer pixels of it are seen than the world annotates. `cover` has GOT-10k's
nine levels of the share that is seen: 0 for absent, 1 to 7 up to 15, 30, 45, 60, 75, 90 and below
100 %, 8 for all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.microworld import Microworld
from tasks.tracking.sequences import Frames, Sequence, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.contract import Split
    from tasks.microworld.annotate import Annotation
    from tasks.tracking.recipe import TrackingData

COVER = (0.15, 0.30, 0.45, 0.60, 0.75, 0.90)
"""Upper ends of GOT-10k's levels 1 to 6 of the visible share."""

_OCCLUDED = 3
"""Level up to which a target counts as occluded: 45 % of it are seen."""


def videos(data: TrackingData, split: Split) -> Microworld:
    """The part of the world behind a split."""
    return Microworld(split, getattr(data.count, split), "video", data.size, data.seed)


class WorldFrames(Frames):
    """The frames of one video."""

    def __init__(self, world: Microworld, video: int) -> None:
        self._world, self._video = world, video

    def __len__(self) -> int:
        return self._world.frames_per_sample

    def read(self, frame: int) -> NDArray[np.uint8]:
        return self._world.image(self._video, frame)

    def name(self, frame: int) -> str:
        return f"{_name(self._world, self._video)}/{frame}"


def open_world(data: TrackingData, split: Split) -> Source:
    """The split, rendered if the cache lacks it."""
    world = videos(data, split)
    sequences = [_sequence(world, video) for video in range(len(world))]
    sha256 = str(world.manifest["sha256"])
    return Source("microworld", sequences, sha256, "generated; no terms")


def level(visible: float) -> int:
    """GOT-10k's level of a share above 0 that is seen, 1 to 8."""
    return 8 if visible == 1 else 1 + int(np.searchsorted(COVER, visible))


@dataclass(frozen=True)
class _Seen:
    """The target in one frame."""

    box: tuple[float, float, float, float]
    cover: int


_ABSENT = _Seen((np.nan, np.nan, np.nan, np.nan), 0)


def _seen(target: Annotation | None) -> _Seen:
    return _ABSENT if target is None else _Seen(target.full_box, level(target.visible))


def _name(world: Microworld, video: int) -> str:
    return f"{world.split}-{video:04d}"


def _sequence(world: Microworld, video: int) -> Sequence:
    frames = WorldFrames(world, video)
    targets = [world.annotations(video, frame).target_item for frame in range(len(frames))]
    seen = [_seen(target) for target in targets]
    boxes = np.array([one.box for one in seen], np.float64)
    cover = np.array([one.cover for one in seen], np.int64)
    attributes = _attributes(targets[0], boxes, cover)
    name = _name(world, video)
    return Sequence(name, frames, boxes, cover == 0, cover, attributes=attributes)


def _attributes(
    target: Annotation | None, boxes: NDArray[np.float64], cover: NDArray[np.int64]
) -> tuple[str, ...]:
    """What is hard about it; a change of size by a factor of 2 counts, as in OTB."""
    assert target is not None, "in the first frame the target is in view"
    sides = np.sqrt(boxes[:, 2] * boxes[:, 3])
    change = np.nanmax(sides / sides[0]) >= 2 or np.nanmin(sides / sides[0]) <= 0.5
    there = {
        "person" if target.category == "person" else "object": True,
        "occlusion": bool(((cover > 0) & (cover <= _OCCLUDED)).any()),
        "absence": bool((cover == 0).any()),
        "scale variation": bool(change),
    }
    return tuple(name for name, holds in there.items() if holds)
