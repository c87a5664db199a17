"""VOT challenges of 2013 to 2019: polygons become upright boxes, targets of NaN are absent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import DataError
from tasks.names import printable
from tasks.tracking.sources import building, text
from tasks.tracking.sources.building import Found, Read, Truth
from tasks.tracking.sources.contract import Layout, MissingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.tracking.sources.contract import Part
    from tasks.tracking.sources.places import Place

    Boxes = NDArray[np.float64]

COUNTS = {"2013": 16, "2014": 25} | {str(year): 60 for year in range(2015, 2020)}
_BOXES = "groundtruth.txt"


def rectangles(polygons: Boxes) -> Boxes:
    """(N,4) boxes of polygons (N,8) x1 y1 ... x4 y4.

    The GOT-10k toolkit's rule: the centre is the corners' mean, the shape that of the enclosing
    rectangle, which is scaled to the area of the first two sides' product, plus 1 in each side.
    """
    corners = polygons.reshape(-1, 4, 2)
    low, high = corners.min(1), corners.max(1)
    sides = np.linalg.norm(corners[:, :2] - corners[:, 1:3], axis=2)
    # A polygon without extent has one pixel.
    extent = (high - low).prod(1)
    scale = np.sqrt(np.divide(sides.prod(1), extent, out=np.zeros(len(extent)), where=extent > 0))
    scale[np.isnan(extent)] = np.nan
    size = scale[:, None] * (high - low) + 1
    return np.concatenate([corners.mean(1) - size / 2, size], axis=1)


def find(root: Place, part: Part) -> list[Found]:
    """The sequences of `list.txt`.

    Raises:
        DataError: it is missing.
    """
    if "list.txt" not in root.files:
        raise MissingError(f"the list `{root.path}/list.txt` is missing")
    return [Found(name, partial(_read, root, name)) for name in text.names(root, "list.txt")]


def _read(home: Place, name: str) -> Read:
    place, where = home.inside(name), f"{home.path}/{printable(name)}"
    folder = place and (place.inside("color") or place)
    images, sizes = building.frames(folder, name, where)
    assert place is not None
    if _BOXES not in place.files:
        raise DataError(f"sequence `{printable(name)}`: its boxes `{where}/{_BOXES}` are missing")
    try:
        advice = "; masks as of VOT 2020 and later are not read"
        given = text.rows(place, _BOXES, (4, 8), advice)
    except DataError as error:
        raise DataError(f"sequence `{printable(name)}`: {error}") from None
    building.check_unknown(given, name, f"{where}/{_BOXES}", "NaN")
    boxes = rectangles(given) if given.shape[1] == 8 else given
    absent = np.isnan(boxes[:, 0])
    truth = Truth(boxes, absent if absent.any() else None, attributes=_tags(place, name))
    return building.build(images, sizes, truth, f"{where}/{_BOXES}")


def _tags(place: Place, sequence: str) -> tuple[str, ...]:
    """What any frame is tagged with: `occlusion.tag` and the like have a 0 or 1 a frame, of
    sequences that end on zeros fewer."""
    found = []
    for name in sorted(place.files):
        stem, _, kind = name.rpartition(".")
        if kind in ("tag", "label") and set(text.text(place, name).split()) - {"0", "0.0"}:
            found.append(stem.replace("_", " "))
    return tuple(found)


VOT = Layout(
    title="VOT",
    expected="[YEAR, as data.version names it, such as vot2018/]{list.txt, SEQUENCE/"
    "{color/00000001.jpg ..., groundtruth.txt, *.tag}}; the frames may lie beside groundtruth.txt",
    source="votchallenge.net, by the VOT or GOT-10k toolkit",
    licence="none stated; research",
    counts={"test": None},
    find=find,
    notes=("polygons are boxes of their area, by the GOT-10k toolkit's rule",),
)
