"""Images and the depth of their pixels as a map-style data set."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tasks.contract import DataError, DataInfo, Ragged, Split, TaskDataset
from tasks.depth.augmentation import augment, resized
from tasks.depth.maps import UnusableError, kb_crop
from tasks.depth.protocol import mask
from tasks.depth.scan import scan
from tasks.depth.sources.opening import open_source
from tasks.subsets import subset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.depth.maps import Stored
    from tasks.depth.recipe import DepthRecipe
    from tasks.depth.sources.contract import Source

    Rows = NDArray[np.int64]
    Metres = NDArray[np.float32]

SCANNED_AT_MOST = 2000
"""Depth maps of a split that are all read when it is opened, so that damage shows at once and
pixels are counted. Of more only with `data.missing_truth=count`."""


class DepthDataset(TaskDataset):
    """One sample an image.

    Truth is metres along the optical axis, 0 where nothing was measured. `info.facts["pixels"]` has
    the numbers of its pixels: `all`, `unmeasured` and, of the measured ones, `not_counted`, for
    crop or range; None where they were not counted.

    Attributes:
        size: height, width that images are brought to, before training crops them.
        rows: (N,) the samples' rows in their source.
        truth_rows: (N,) the rows whose depth maps they have.
        pixels: (N,3) of each truth: all, measured, counted; None where they were not counted.
        skipped: reason -> number of images that were left out.
    """

    def __init__(self, recipe: DepthRecipe, split: Split) -> None:
        data = recipe.data
        self.recipe, self.split = recipe, split
        self.size = recipe.test.size or recipe.backbone.input_size
        self.source: Source = open_source(data, split, recipe.measure.max_depth)
        self.skipped = dict(self.source.skipped)
        lenient = data.missing_truth == "count"
        rows, pixels = np.arange(len(self.source)), None
        if not lenient:
            rows = rows[: data.limit]
        if lenient or len(rows) <= SCANNED_AT_MOST:
            found = scan(rows, self._measured, lenient)
            rows, pixels = found.rows, found.pixels[: data.limit]
            self.skipped |= found.skipped
        if not len(rows):
            raise DataError(f"no image is left of the split {split}: {self.skipped}")
        self._take(rows[: data.limit], pixels)

    def __len__(self) -> int:
        return len(self.rows)

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        """The image as `image` (3,H,W) uint8 and its depth as `depth` (H,W) float32 metres.

        In training at the input's size. Else at `size`, with `truth_size` (2,) int64, height and
        width of the truth, and `valid`, `Ragged` uint8: which of its pixels count, in raster
        order, eight a byte as `numpy.packbits` packs them.
        """
        recipe = self.recipe
        image, stored = self._pair(index)
        seen, depth = resized(image, self.size), stored.at(self.size)
        if rng is not None:
            size, settings = recipe.backbone.input_size, recipe.augmentation
            seen, depth = augment(seen, depth, size, settings, recipe.measure.max_depth, rng)
            return {"image": _planes(seen), "depth": depth.metres()}
        truth = stored.metres()
        counted = self._counted(int(self.truth_rows[index]), truth)
        return {
            "image": _planes(seen),
            "depth": truth if depth is stored else depth.metres(),
            "truth_size": np.array(stored.size, np.int64),
            "valid": Ragged(np.packbits(counted)),
        }

    def truth(self, index: int) -> Metres:
        """The depth (h,w) in metres at the metric's resolution, 0 where nothing was measured."""
        return self._stored(int(self.truth_rows[index])).metres()

    def name(self, index: int) -> str:
        """The image's own name in the data set."""
        return self.source.name(int(self.rows[index]))

    def permuted(self, seed: int) -> DepthDataset:
        """Depth maps exchanged among the images, brought to their sizes."""
        other = copy.copy(self)
        other.truth_rows = self.truth_rows[np.random.default_rng(seed).permutation(len(self))]
        return other

    def fraction(self, share: float, seed: int) -> DepthDataset:
        kept = subset(None, [self.name(k) for k in range(len(self))], share, seed)
        other = copy.copy(self)
        other._take(self.rows[kept], None if self.pixels is None else self.pixels[kept])
        return other

    @property
    def fixed(self) -> bool:
        recipe = self.recipe
        return self.size == recipe.backbone.input_size and not recipe.augmentation.moves

    @property
    def view(self) -> dict[str, Any]:
        return {"size": list(self.size), "kb_crop": self.source.kb_crop}

    def mean_map(self) -> tuple[Metres, float]:
        """The mean depth (h,w) at `size` in metres, and the mean over all pixels: of all numbers
        the one with the smallest squared error.

        Of pixels in the range that is measured, wherever they lie; where there is none, the map
        has the mean over all.

        Raises:
            DataError: no depth is in the range.
        """
        near, far = self.recipe.measure.min_depth, self.recipe.measure.max_depth
        total, seen = np.zeros(self.size), np.zeros(self.size)
        for row in self.truth_rows.tolist():
            depth = self._stored(row).at(self.size).metres()
            valid = (depth > np.float32(near)) & (depth < np.float32(far))
            total += np.where(valid, depth, 0)
            seen += valid
        if not seen.any():
            raise DataError(f"no training depth is between {near:g} and {far:g} m")
        best = float(total.sum() / seen.sum())
        return np.where(seen > 0, total / np.maximum(seen, 1), best).astype(np.float32), best

    def _take(self, rows: Rows, pixels: Rows | None) -> None:
        """Make these rows the samples."""
        self.rows = self.truth_rows = rows
        self.pixels = pixels
        digest = f"{self.split}\n{self.source.digest(rows.tolist())}"
        self.info = DataInfo(
            name=self.recipe.data.name,
            split=self.split,
            count=len(rows),
            sha256=hashlib.sha256(digest.encode()).hexdigest(),
            licence=self.source.licence,
            skipped=self.skipped,
            facts={"pixels": _summed(pixels), "notes": list(self.source.notes)},
        )

    def _measured(self, row: int) -> tuple[Metres, NDArray[np.bool_]]:
        """A row's truth, and which of its pixels count."""
        depth = self._stored(row).metres()
        return depth, self._counted(row, depth)

    def _counted(self, row: int, depth: Metres) -> NDArray[np.bool_]:
        measure = self.recipe.measure
        counted = mask(depth, measure)
        if self.split != "training" and not counted.any():
            raise UnusableError(
                "no pixel that counts",
                f"the depth map `{self.source.place(row)[1]}` has no pixel in the crop "
                f"`{measure.crop}` between {measure.min_depth:g} and {measure.max_depth:g} m",
            )
        return counted

    def _stored(self, row: int) -> Stored:
        return self._cut(self.source.depth(row), row)

    def _cut(self, depth: Stored, row: int) -> Stored:
        if not self.source.kb_crop:
            return depth
        return replace(depth, values=kb_crop(depth.values, self.source.place(row)[1]))

    def _pair(self, index: int) -> tuple[NDArray[np.uint8], Stored]:
        """An image and its depth map, of one size unless it is another image's."""
        source, row, other = self.source, int(self.rows[index]), int(self.truth_rows[index])
        image, depth = source.image(row), source.depth(other)
        (height, width), (h, w) = image.shape[:2], depth.size
        names = source.place(row)
        if row == other and (height, width) != (h, w):
            raise DataError(
                f"the image `{names[0]}` is {width}x{height}, its depth map `{names[1]}` {w}x{h}"
            )
        if source.kb_crop:
            image = kb_crop(image, names[0])
        return image, self._cut(depth, other)


def _summed(pixels: Rows | None) -> dict[str, int] | None:
    if pixels is None:
        return None
    everything, measured, counted = (int(total) for total in pixels.sum(0))
    return {
        "all": everything,
        "unmeasured": everything - measured,
        "not_counted": measured - counted,
    }


def _planes(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    for channel, plane in enumerate(planes):
        cv2.extractChannel(image, channel, plane)
    return planes
