"""FGVC-Aircraft, its 100 variants: lists of `image variant`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.classification.datasets.contract import Images, Official, Part
from tasks.classification.datasets.layout import (
    base,
    class_number,
    column,
    numbered,
    part,
    rows,
)
from tasks.contract import DataError

BANNER = 20
"""Height in pixels of the strip at the bottom of each image, which names its owner."""


@dataclass(frozen=True)
class WithoutBanner(Images):
    """Images less the strip at their bottom."""

    whole: Images

    def __len__(self) -> int:
        return len(self.whole)

    def read(self, row: int) -> NDArray[np.uint8]:
        image = self.whole.read(row)
        if len(image) <= BANNER:
            raise DataError(
                f"the image `{self.name(row)}` is {len(image)} pixels high, no more than the "
                f"strip of {BANNER} that is cut off"
            )
        return image[:-BANNER]

    def name(self, row: int) -> str:
        return self.whole.name(row)

    def size(self, row: int) -> int:
        return self.whole.size(row)

    def content(self, row: int) -> bytes:
        return self.whole.content(row)

    def end(self, row: int, count: int) -> bytes:
        return self.whole.end(row, count)


def read(root: Path) -> Official:
    """Read the data set below `root`, variants in the order of `variants.txt`.

    Raises:
        DataError: the layout is not whole, or a list names an unknown variant.
    """
    home = base(root, "fgvc-aircraft-2013b/data", "data")
    numbers = numbered(column(home / "variants.txt"))
    return Official(
        train=_part(home, "train", numbers),
        val=_part(home, "val", numbers),
        test=_part(home, "test", numbers),
        class_names=tuple(numbers),
        notes=(f"the lowest {BANNER} pixels, which name the owner, are cut off every image",),
    )


def _part(home: Path, split: str, numbers: dict[str, int]) -> Part:
    path = home / f"images_variant_{split}.txt"
    found = rows(path, 2)
    labels = [class_number(variant, numbers, path) for _, variant in found]
    files = [f"images/{image}.jpg" for image, _ in found]
    whole = part(home, files, labels, path)
    return replace(whole, images=WithoutBanner(whole.images))
