"""ImageNet-CoG: five levels of concepts ever farther from those of ImageNet-1K.

Two pickled lists over the folders of ImageNet-21K: a list of concepts for each level, and for
each concept the paths of its training and test images [naver/cog, data/datasets.py].
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tasks.classification.datasets.contract import Official, Part
from tasks.classification.datasets.layout import part
from tasks.classification.datasets.pickles import entry, load, texts
from tasks.contract import DataError

LEVELS = "cog_levels_mapping_file.pkl"
SPLITS = "cog_concepts_split_file.pkl"


def _read(level: int, root: Path) -> Official:
    """Read one level below `root`, concepts and images in the order of their names.

    Raises:
        DataError: the layout is not whole, or the lists hold more than lists.
    """
    levels = load(root / LEVELS)
    if not isinstance(levels, list) or len(levels) != 5:
        raise DataError(f"`{root / LEVELS}`: expected a list of 5 levels; get the official file")
    concepts = sorted(texts(levels[level - 1], root / LEVELS))
    splits = load(root / SPLITS)
    return Official(
        train=_part(root, splits, concepts, "train"),
        val=None,
        test=_part(root, splits, concepts, "test"),
        class_names=tuple(concepts),
    )


read_level1 = partial(_read, 1)
read_level2 = partial(_read, 2)
read_level3 = partial(_read, 3)
read_level4 = partial(_read, 4)
read_level5 = partial(_read, 5)


def _part(root: Path, splits: Any, concepts: list[str], split: str) -> Part:
    path = root / SPLITS
    files, labels = [], []
    for label, concept in enumerate(concepts):
        found = texts(entry(entry(splits, concept, path), split, path), path)
        for file in sorted(name.lstrip("/") for name in found):
            if file.partition("/")[0] != concept:
                raise DataError(f"`{path}` lists `{file}` as an image of `{concept}`")
            files.append(file)
            labels.append(label)
    return part(root, files, labels, path)
