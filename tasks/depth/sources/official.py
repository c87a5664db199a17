"""NYUv2 and KITTI as BTS, GLPDepth and MIM-Depth-Estimation lay them out.

The lists themselves do not come with the package: they are in the archives of those three
repositories, where the data's users have them. What comes is the number of images of each and a
hash of their names; the lists of the three name the same images. Layouts and counts: BTS
(github.com/cleinc/bts) and MIM-Depth-Estimation (github.com/SwinTransformer/MIM-Depth-Estimation);
697 lines of BTS's KITTI test list are 652 without those that have no depth map.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tasks.contract import DataError
from tasks.depth.sources import lists
from tasks.depth.sources.files import Listings
from tasks.depth.sources.lists import Line
from tasks.depth.sources.placing import NO_TRUTH, MissingError, parent, place
from tasks.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tasks.contract import Split
    from tasks.depth.recipe import DepthData
    from tasks.depth.sources.contract import Listing

_LISTS = ("", "train_test_inputs/", "filenames/", "dataset/filenames/")
"""Folders in which a list is looked for: those of the three repositories."""


@dataclass(frozen=True)
class Part:
    """What was published of a split.

    Attributes:
        count: images with a depth map.
        sha256: of their names, sorted, a line each without the last line's end.
        lists: names of the file that lists them.
        images, depths: folders below the root in which they are looked for.
        pattern: of the images in the first of these folders that is there, where they are all
            that it has, so that no list is needed.
    """

    count: int
    sha256: str
    lists: tuple[str, ...]
    images: tuple[str, ...]
    depths: tuple[str, ...]
    pattern: str | None = None


@dataclass(frozen=True)
class Publication:
    """What is known of a data set before its files are read.

    Attributes:
        unit: of its depth maps, numbers a metre.
        kb_crop: whether images and maps are cut to KITTI's benchmark crop.
        plain: a path of a list as all lists have it.
        sequence: of an image, by its name.
    """

    title: str
    unit: float
    kb_crop: bool
    licence: str
    layout: str
    source: str
    parts: dict[Literal["training", "test"], Part]
    plain: Callable[[str], str]
    sequence: Callable[[str], str]


def _room(name: str) -> str:
    """NYUv2's scene; several recordings of one room differ in a letter at the end."""
    return re.sub(r"(?<=\d)[a-z]$", "", name.split("/", maxsplit=1)[0])


def _kitti(path: str) -> str:
    return re.sub(r"^(raw_data/|data_depth_annotated/(train/|val/)?)", "", path)


_NYU_TRAIN = ("nyu_depth_v2/sync/", "nyu_depth_v2/", "sync/", "")
_NYU_TEST = ("nyu_depth_v2/official_splits/test/", "official_splits/test/", "test/", "")
_RAW = ("raw_data/", "kitti/raw_data/", "kitti_dataset/", "kitti/", "")
_ANNOTATED = (
    *(
        f"{home}data_depth_annotated/{half}"
        for home in ("", "kitti/", "kitti_dataset/")
        for half in ("", "train/", "val/")
    ),
    "",
)

PUBLICATIONS = {
    "nyuv2": Publication(
        title="NYU Depth v2 (2012)",
        unit=1000.0,
        kb_crop=False,
        licence="none stated; research",
        layout="nyu_depth_v2/{sync/SCENE/{rgb_*.jpg, sync_depth_*.png}, official_splits/test/TYPE/"
        "{rgb_*.jpg, sync_depth_*.png}} (scenes may lie beside official_splits) and the list "
        "nyudepthv2_train_files_with_gt.txt of BTS or nyudepthv2/train_list.txt of "
        "MIM-Depth-Estimation (or --set data.lists.training=FILE)",
        source="training images and lists as github.com/cleinc/bts says, the test images from "
        "nyu_depth_v2_labeled.mat by its script",
        parts={
            "training": Part(
                24_231,
                "6c02c06bd3789861be50dd1a98d4c4c9b739c47aecb1dd262e9424550d90b40f",
                ("nyudepthv2_train_files_with_gt.txt", "nyudepthv2/train_list.txt"),
                _NYU_TRAIN,
                _NYU_TRAIN,
            ),
            "test": Part(
                654,
                "6af186051c62a7050171aeed4901e02d9befbcacb6f9af6bc64af137a0e89a6d",
                ("nyudepthv2_test_files_with_gt.txt", "nyudepthv2/test_list.txt"),
                _NYU_TEST,
                _NYU_TEST,
                "*/rgb_*.jpg",
            ),
        },
        plain=str,
        sequence=_room,
    ),
    "kitti": Publication(
        title="KITTI, Eigen split (2014)",
        unit=256.0,
        kb_crop=True,
        licence="CC BY-NC-SA 3.0",
        layout="raw_data/DATE/DRIVE/image_02/data/*.png, data_depth_annotated/{train,val}/DRIVE/"
        "proj_depth/groundtruth/image_02/*.png (or without train and val) and the lists "
        "eigen_{train,test}_files_with_gt.txt of BTS or eigen_benchmark/{train,test}_list.txt of "
        "MIM-Depth-Estimation (or --set data.lists.training=FILE data.lists.test=FILE)",
        source="raw data and annotated depth maps from www.cvlibs.net/datasets/kitti, with an "
        "account; the lists from github.com/cleinc/bts",
        parts={
            "training": Part(
                23_158,
                "adb2d7cc4c368f26ca0281cd9e468a2554040e2cd3d8df2ff952c861bc5593da",
                ("eigen_train_files_with_gt.txt", "eigen_benchmark/train_list.txt"),
                _RAW,
                _ANNOTATED,
            ),
            "test": Part(
                652,
                "f9b578d800ba9280c4afca190140a426079efa26c27649dd9912affebdaae730",
                ("eigen_test_files_with_gt.txt", "eigen_benchmark/test_list.txt"),
                _RAW,
                _ANNOTATED,
            ),
        },
        plain=_kitti,
        sequence=parent,
    ),
}


def home(root: Path, name: str) -> Path:
    """Where a data set's files are: in a folder of its name, where the root holds several."""
    own = root / name
    return own if name == "nyuv2" and own.is_dir() else root


def how_to_get(published: Publication) -> str:
    """The layout and where the files come from, for messages."""
    return f"expected below the data root: {published.layout}; get it: {published.source}"


def listing(root: Path, data: DepthData, split: Split) -> Listing | None:
    """The pairs of a split; None where there is no list of it, as of selection.

    Raises:
        DataError: files are missing (the message has the layout and where to get them), or are not
            those that were published.
    """
    published = PUBLICATIONS[data.name]
    given = None if data.lists is None else getattr(data.lists, split)
    if split == "selection" and given is None:
        return None
    part = published.parts["test" if split == "test" else "training"]
    try:
        lines = [
            Line(published.plain(line.image), line.depth and published.plain(line.depth))
            for line in _lines(root, part, given)
        ]
        if part.pattern is not None:
            lines.sort()  # With a list as without one.
        if split != "selection" and not data.partial:
            _complete(lines, part, split, published.title)
        # That BTS's list has none for 45 of KITTI's test images is part of the publication.
        listed = [line for line in lines if line.depth is not None]
        folders = (part.images, part.depths)
        found = place(listed, Listings(root), folders, published.sequence, data.missing_truth)
        return _counting(found, len(lines) - len(listed))
    except MissingError as error:
        raise MissingError(f"{published.title}: {error}; {how_to_get(published)}") from None


def _counting(found: Listing, unlisted: int) -> Listing:
    """With the images that are listed without a depth map among what was left out."""
    if not unlisted:
        return found
    count = found.skipped.get(NO_TRUTH, 0) + unlisted
    return replace(found, skipped=found.skipped | {NO_TRUTH: count})


def _lines(root: Path, part: Part, given: str | None) -> Sequence[Line]:
    if given is not None:
        return lists.read(root / given)
    for folder in _LISTS:
        for name in part.lists:
            if (root / folder / name).is_file():
                return lists.read(root / folder / name)
    if part.pattern is not None:
        for folder in part.images:
            found = sorted((root / folder).glob(part.pattern))
            if found:
                return [_beside(path.relative_to(root / folder).as_posix()) for path in found]
    raise MissingError(f"the list `{part.lists[0]}` is missing in `{printable(str(root))}`")


def _beside(image: str) -> Line:
    """The line of BTS's list for an image of NYUv2."""
    folder, _, name = image.rpartition("/")
    stem = name.removeprefix("rgb_").removesuffix(".jpg")
    return Line(image, f"{folder}/sync_depth_{stem}.png")


def _complete(lines: Sequence[Line], part: Part, split: Split, title: str) -> None:
    """Compare a list with the published one."""
    names = sorted(line.image for line in lines if line.depth is not None)
    advice = "(for others on purpose: --set data.partial=true)"
    if len(names) != part.count:
        raise DataError(
            f"{title}: expected {part.count} images with a depth map for {split}, found "
            f"{len(names)}; the list is incomplete or of another split {advice}"
        )
    if hashlib.sha256("\n".join(names).encode()).hexdigest() != part.sha256:
        raise DataError(
            f"{title}: the list for {split} has as many images as the official one, but others "
            f"{advice}"
        )
