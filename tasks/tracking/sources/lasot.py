"""LaSOT: boxes of absent targets are zeros, as the files have them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.tracking.sources import building, text
from tasks.tracking.sources.building import Found, Read, Truth
from tasks.tracking.sources.contract import Layout

if TYPE_CHECKING:
    from tasks.tracking.sources.contract import Part
    from tasks.tracking.sources.places import Place

ATTRIBUTES = (
    "illumination variation",
    "partial occlusion",
    "deformation",
    "motion blur",
    "camera motion",
    "rotation",
    "background clutter",
    "viewpoint change",
    "scale variation",
    "full occlusion",
    "fast motion",
    "out of view",
    "low resolution",
    "aspect ratio change",
)
"""In the order of the evaluation toolkit's files `annos/att/SEQUENCE.txt`."""


def test_names() -> list[str]:
    """The official 280 test sequences (Protocol II), in their order."""
    return text.facts("lasot_test.txt")


def find(root: Place, part: Part) -> list[Found]:
    """Test: the official 280; training: all others that are there, by class and number."""
    official = test_names()
    classes = {name: place for name in root.folders if (place := root.inside(name))}
    attributes = classes.pop("att", None)
    if part == "test":
        chosen = [name for name in official if _there(name, classes)]
    else:
        every = [name for folder in classes for name in classes[folder].folders]
        own = [name for name in every if name.rpartition("-")[0] in classes]
        chosen = sorted(set(own) - set(official), key=_order)
    return [Found(name, partial(_read, classes[_class(name)], attributes, name)) for name in chosen]


def _class(name: str) -> str:
    return name.rpartition("-")[0]


def _order(name: str) -> tuple[str, int, str]:
    kind, _, number = name.rpartition("-")
    return kind, int(number) if number.isdecimal() else 0, name


def _there(name: str, classes: dict[str, Place]) -> bool:
    return _class(name) in classes and classes[_class(name)].inside(name) is not None


def _read(home: Place, attributes: Place | None, name: str) -> Read:
    place = home.inside(name)
    where = f"{home.path}/{name}"
    images, sizes = building.frames(place and place.inside("img"), name, f"{where}/img")
    assert place is not None
    count = len(images)
    hidden, out = (
        building.labels(place, f"{label}.txt", name, count)
        for label in ("full_occlusion", "out_of_view")
    )
    absent = None if hidden is None or out is None else (hidden + out) > 0
    truth = Truth(
        building.boxes(place, "groundtruth.txt", name),
        absent,
        visible=None if absent is None else ~absent,
        attributes=building.flagged(attributes, name, ATTRIBUTES),
    )
    return building.build(images, sizes, truth, text.path(place, "groundtruth.txt"))


LASOT = Layout(
    title="LaSOT (2019)",
    expected="CLASS/CLASS-NUMBER/{img/00000001.jpg ..., groundtruth.txt, full_occlusion.txt, "
    "out_of_view.txt}, and att/CLASS-NUMBER.txt, the folder annos/att of the LaSOT evaluation "
    "toolkit, where figures by attribute are wanted",
    source="vision.cs.stonybrook.edu/~lasot, a zip archive a class",
    licence="none stated; research",
    counts={"train": 1120, "test": 280},
    find=find,
)
