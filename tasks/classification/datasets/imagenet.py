"""ImageNet-1K: class folders named by WordNet ids; its validation images are the test here."""

from __future__ import annotations

from pathlib import Path

from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import class_folders, images_in, need, numbered, part
from tasks.contract import DataError

AS_TEST = "the labels of the official test are not public: its validation images are the test"


def read(root: Path) -> Official:
    """Read the data set below `root`, classes and images in the order of their names.

    Raises:
        DataError: the layout is not whole, or the validation images are not in class folders.
    """
    names = class_folders(root / "train")
    folder = need(root / "val")
    if images_in(folder):
        raise DataError(
            f"`{folder}` has images beside the class folders; they have to be sorted into "
            "val/<class>/, as the archive does not have them"
        )
    others = class_folders(folder)
    if others != names:
        first = sorted(set(names) ^ set(others))[0]
        raise DataError(f"`{root}`: `train` and `val` differ in their classes, as in `{first}`")
    numbers = numbered(names)
    return Official(
        train=_part(root, "train", numbers),
        val=None,
        test=_part(root, "val", numbers),
        class_names=tuple(names),
        notes=(AS_TEST,),
    )


def _part(root: Path, split: str, numbers: dict[str, int]) -> Part:
    files = [
        f"{split}/{name}/{image}" for name in numbers for image in images_in(root / split / name)
    ]
    labels = [numbers[file.split("/")[1]] for file in files]
    return part(root, files, labels, root / split)
