"""TrackingNet: twelve training parts, and test sequences of which the first box alone is known."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.contract import DataError
from tasks.tracking.sources import building, text
from tasks.tracking.sources.building import Found, Read, Truth
from tasks.tracking.sources.contract import Layout, MissingError

if TYPE_CHECKING:
    from tasks.tracking.sources.contract import Part
    from tasks.tracking.sources.places import Place

_TRAINING = tuple(f"TRAIN_{number}" for number in range(12))


def find(root: Place, part: Part) -> list[Found]:
    """A sequence for each file in `anno`, by name; the training parts that are there.

    Raises:
        DataError: there is no such part, or a sequence in two of them.
    """
    found: dict[str, Found] = {}
    for folder in ("TEST",) if part == "test" else _TRAINING:
        annotations = root.at(f"{folder}/anno")
        if annotations is None:
            continue
        frames = [root.at(f"{folder}/{kind}") for kind in ("frames", "zips")]
        places = [place for place in frames if place is not None]
        for name in sorted(annotations.files):
            sequence = name.removesuffix(".txt")
            if sequence == name or name.startswith("."):
                continue
            if sequence in found:
                raise DataError(f"the sequence `{sequence}` is in {folder} and in a part before it")
            read = partial(_read, annotations, places, sequence, f"{root.path}/{folder}")
            found[sequence] = Found(sequence, read)
    if not found:
        folders = "TEST" if part == "test" else "TRAIN_0 to TRAIN_11"
        raise MissingError(
            f"there are no boxes `{root.path}/PART/anno/*.txt`, PART being {folders}"
        )
    return list(found.values())


def _read(annotations: Place, places: list[Place], name: str, where: str) -> Read:
    inside = (place.inside(name) for place in places)
    place = next((folder for folder in inside if folder is not None), None)
    images, sizes = building.frames(place, name, f"{where}/frames/{name}")
    boxes = building.boxes(annotations, f"{name}.txt", name, known="all")
    labelled = len(boxes) > 1 or not where.endswith("TEST")
    truth = Truth(boxes if labelled else building.first_only(boxes, len(images)), labelled=labelled)
    return building.build(images, sizes, truth, text.path(annotations, f"{name}.txt"))


TRACKINGNET = Layout(
    title="TrackingNet (2018)",
    expected="{TRAIN_0 ... TRAIN_11, TEST}/{frames/SEQUENCE/{0.jpg, 1.jpg ...}, "
    "anno/SEQUENCE.txt}; zips/SEQUENCE.zip in place of frames/SEQUENCE",
    source="github.com/SilvioGiancola/TrackingNet-devkit",
    licence="none stated; research",
    counts={"train": 12 * 2511, "test": 511},
    find=find,
)
