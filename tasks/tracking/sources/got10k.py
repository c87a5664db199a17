"""GOT-10k's layout, its own and that of folders.

Of a sequence: frames, `groundtruth.txt`, and where there are such files `absence.label` (0, 1),
`cover.label` (0 to 8), `meta_info.ini`. GOT-10k's cover stands for shares that are seen: 0 %, up to
15, 30, 45, 60, 75, 90, below 100 %, and 100 %. A sequence whose only box is the first one is of a
test split without labels.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.tracking.sources import building, text
from tasks.tracking.sources.building import Found, Read, Truth
from tasks.tracking.sources.contract import Layout, MissingError

if TYPE_CHECKING:
    from tasks.tracking.sources.contract import Part
    from tasks.tracking.sources.places import Place

BOXES = "groundtruth.txt"
_LIST = "list.txt"
_ATTRIBUTES = ("root_class", "motion_class", "motion_adverb")
_PARTS: tuple[Part, ...] = ("train", "val", "test")


def find(root: Place, part: Part) -> list[Found]:
    """The sequences that a split's `list.txt` names.

    Raises:
        DataError: the list is missing, or names a sequence that is.
    """
    place = root.inside(part)
    if place is None or _LIST not in place.files:
        raise MissingError(f"the list `{root.path}/{part}/{_LIST}` is missing")
    return _all(place, text.names(place, _LIST), known="all", unlabelled=part == "test")


def find_folder(root: Place, part: Part) -> list[Found]:
    """The sequences of a folder: those of `list.txt`, or each folder that has a `groundtruth.txt`.

    A root without split folders is one test split, and one that has boxes itself one sequence.

    Raises:
        DataError: there are none.
    """
    place = root.inside(part)
    if place is None:
        if has_parts(root) or part != "test":
            raise MissingError(f"there is no folder `{root.path}/{part}`")
        place = root
    if _LIST in place.files:
        listed = text.names(place, _LIST)
        return _all(place, listed, known="NaN", unlabelled=part == "test")
    if BOXES in place.files:
        name = place.path.rpartition("/")[2].removesuffix(".zip")
        return [Found(name, partial(_read, place, place.path, name, "NaN", part == "test"))]
    inside = [(name, place.inside(name)) for name in place.folders]
    found = [(name, folder) for name, folder in inside if folder and _is_sequence(folder)]
    if not found:
        raise MissingError(
            f"there is no `{_LIST}` and no folder with a `{BOXES}` in `{place.path}`"
        )
    return [
        Found(name, partial(_read, folder, folder.path, name, "NaN", part == "test"))
        for name, folder in found
    ]


def has_parts(root: Place) -> bool:
    """Whether there is any split folder."""
    return any(root.inside(part) for part in _PARTS)


def _is_sequence(place: Place) -> bool:
    """Whether it is a sequence, or frames without the boxes, which reading it will say."""
    names = place.files
    return BOXES in names or any(map(building.is_image, names))


def _all(place: Place, listed: list[str], known: str, unlabelled: bool) -> list[Found]:
    return [Found(name, partial(_listed, place, name, known, unlabelled)) for name in listed]


def _listed(place: Place, name: str, known: str, unlabelled: bool) -> Read:
    return _read(place.inside(name), f"{place.path}/{name}", name, known, unlabelled)


def _read(place: Place | None, where: str, name: str, known: str, unlabelled: bool) -> Read:
    images, sizes = building.frames(_frames(place), name, where)
    assert place is not None
    boxes = building.boxes(place, BOXES, name, known, "; VOT's polygons are read by --dataset vot")
    labelled = not (unlabelled and len(boxes) == 1)
    count = len(images)
    absent = building.labels(place, "absence.label", name, count)
    truth = Truth(
        boxes if labelled else building.first_only(boxes, count),
        None if absent is None else absent.astype(bool),
        building.labels(place, "cover.label", name, count, largest=8),
        attributes=_attributes(place),
        labelled=labelled,
    )
    return building.build(images, sizes, truth, text.path(place, BOXES))


def _frames(place: Place | None) -> Place | None:
    """Where a sequence's frames are: beside its boxes, or in a folder `img` as others have it."""
    return place.inside("img") if place and "img" in place.folders else place


def _attributes(place: Place) -> tuple[str, ...]:
    """Classes of target and motion in `meta_info.ini`, where it is there."""
    if "meta_info.ini" not in place.files:
        return ()
    lines = text.text(place, "meta_info.ini").splitlines()
    pairs = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    return tuple(f"{key} {pairs[key]}" for key in _ATTRIBUTES if pairs.get(key))


GOT10K = Layout(
    title="GOT-10k (2018)",
    expected="{train,val,test}/{list.txt, SEQUENCE/{00000001.jpg ..., groundtruth.txt, "
    "absence.label, cover.label, meta_info.ini}}",
    source="got-10k.aitestunion.com, with an account",
    licence="CC BY-NC-SA 4.0",
    counts={"train": 9335, "val": 180, "test": 180},
    find=find,
)

FOLDER = Layout(
    title="a folder",
    expected="{train,val,test}/{list.txt, SEQUENCE/{frames, groundtruth.txt}}, or sequences "
    "without such folders, which are a test split; list.txt, absence.label and cover.label may "
    "be missing",
    source="your own: frames with numbers in their names, boxes x, y, width, height a line",
    licence="not stated in the folder; the owner knows",
    counts={"train": None, "val": None, "test": None},
    find=find_folder,
)
