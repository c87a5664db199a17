"""UAV123: long videos of which sequences are parts; boxes of absent targets are NaN."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tasks.tracking.sources import building, text
from tasks.tracking.sources.building import Found, Read, Truth
from tasks.tracking.sources.contract import Layout, MissingError

if TYPE_CHECKING:
    from tasks.tracking.sources.contract import Part
    from tasks.tracking.sources.places import Place

ATTRIBUTES = (
    "scale variation",
    "aspect ratio change",
    "low resolution",
    "fast motion",
    "full occlusion",
    "partial occlusion",
    "out of view",
    "background clutter",
    "illumination variation",
    "viewpoint change",
    "camera motion",
    "similar object",
)
"""In the order of `anno/UAV123/att/SEQUENCE.txt`."""


def sequences() -> dict[str, tuple[str, int, int]]:
    """Sequence -> folder of the video, first and last frame of it, from 1."""
    words = (line.split() for line in text.facts("uav123.txt"))
    return {name: (video, int(first), int(last)) for name, video, first, last in words}


def find(root: Place, part: Part) -> list[Found]:
    """The sequences whose boxes are there.

    Raises:
        DataError: the folder of boxes is missing.
    """
    annotations, videos = root.at("anno/UAV123"), root.at("data_seq/UAV123")
    if annotations is None or videos is None:
        raise MissingError(f"`{root.path}` has no folders anno/UAV123 and data_seq/UAV123")
    files = annotations.files
    return [
        Found(name, partial(_read, annotations, videos, name, *place))
        for name, place in sequences().items()
        if f"{name}.txt" in files
    ]


def _read(annotations: Place, videos: Place, name: str, video: str, first: int, last: int) -> Read:
    where = f"{videos.path}/{video}"
    images, sizes = building.frames(videos.inside(video), name, where, (first, last))
    boxes = building.boxes(annotations, f"{name}.txt", name)
    truth = Truth(
        boxes,
        np.isnan(boxes[:, 0]),
        attributes=building.flagged(annotations.inside("att"), name, ATTRIBUTES),
    )
    return building.build(images, sizes, truth, text.path(annotations, f"{name}.txt"))


UAV123 = Layout(
    title="UAV123 (2016)",
    expected="anno/UAV123/{SEQUENCE.txt, att/SEQUENCE.txt}, data_seq/UAV123/VIDEO/000001.jpg ...",
    source="cemse.kaust.edu.sa/ivul/uav123",
    licence="none stated; research",
    counts={"test": 123},
    find=find,
    notes=("boxes are counted from 1 and taken as they are, as the toolkits do",),
)
