"""OTB (Wu et al. 2013, 2015): several targets a video, and videos that are used in part.

The boxes are counted from 1. Neither toolkit takes 1 off, and neither does this, so that figures
are theirs: boxes lie a pixel to the right of and below where they were drawn.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tasks.tracking.sources import building, text
from tasks.tracking.sources.building import Found, Read, Truth
from tasks.tracking.sources.contract import Layout

if TYPE_CHECKING:
    from tasks.tracking.sources.contract import Part
    from tasks.tracking.sources.places import Place

ATTRIBUTES = {
    "IV": "illumination variation",
    "SV": "scale variation",
    "OCC": "occlusion",
    "DEF": "deformation",
    "MB": "motion blur",
    "FM": "fast motion",
    "IPR": "in-plane rotation",
    "OPR": "out-of-plane rotation",
    "OV": "out of view",
    "BC": "background clutter",
    "LR": "low resolution",
}

RANGES = {
    "David": (300, 770),
    "Football1": (1, 74),
    "Freeman3": (1, 460),
    "Freeman4": (1, 283),
    "Diving": (1, 215),
}
"""First and last frame of the videos that the benchmark uses in part."""


class Video(NamedTuple):
    """What is known of a video."""

    in_2013: bool
    attributes: tuple[str, ...]


def videos() -> dict[str, Video]:
    """The 98 of 2015 by name, with those of 2013 among them."""
    words = (line.split() for line in text.facts("otb.txt"))
    return {
        name: Video(year == "2013", tuple(ATTRIBUTES[short] for short in shorts))
        for name, year, *shorts in words
    }


def find(only_2013: bool, root: Place, part: Part) -> list[Found]:
    """The targets of the videos that are there, by the names of their files of boxes. Of a video
    with several, `NAME.1` is the first (GOT-10k toolkit); an empty file counts for none."""
    found = []
    for name, video in sorted(videos().items()):
        place = root.inside(name) if video.in_2013 or not only_2013 else None
        if place is None:
            continue
        files = sorted(file for file in place.files if _is_boxes(file))
        filled = [file for file in files if text.text(place, file).strip()] or files
        for number, file in enumerate(filled, 1):
            target = name if len(filled) == 1 else f"{name}.{number}"
            read = partial(_read, place, name, target, file, video.attributes)
            found.append(Found(target, read))
        if not files:
            # Reading it says what is missing.
            found.append(Found(name, partial(_read, place, name, name, _BOXES, ())))
    return found


_BOXES = "groundtruth_rect.txt"


def _is_boxes(file: str) -> bool:
    return file.startswith("groundtruth") and file.endswith(".txt")


def _read(place: Place, video: str, target: str, file: str, attributes: tuple[str, ...]) -> Read:
    folder = place.inside("img")
    images, sizes = building.frames(folder, target, f"{place.path}/img", RANGES.get(video))
    truth = Truth(building.boxes(place, file, target, known="all"), attributes=attributes)
    return building.build(images, sizes, truth, text.path(place, file))


def _layout(title: str, count: int, only_2013: bool) -> Layout:
    return Layout(
        title=title,
        expected="VIDEO/{img/0001.jpg ..., groundtruth_rect.txt or groundtruth_rect.1.txt ...}",
        source="cvlab.hanyang.ac.kr/tracker_benchmark, a zip archive a video",
        licence="none stated; research",
        counts={"test": count},
        find=partial(find, only_2013),
        notes=(
            "boxes are counted from 1 and taken as they are, as the toolkits do",
            "an empty file of boxes beside another is no target, as Human4's first",
        ),
    )


OTB100 = _layout("OTB (2015)", 100, False)
OTB2013 = _layout("OTB (2013)", 51, True)
