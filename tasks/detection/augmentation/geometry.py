"""Where on the canvas a pixel of the image comes to lie: one description, for image and objects.

The steps are those of the published pipelines: mirror, resize, cut, resize. For boxes they are one
affine map. Masks take the nearest pixel at each step, so along an axis the steps are a choice of
pixel numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.crops import Crop
from tasks.detection.annotations import Floats, Ints
from tasks.detection.augmentation.view import Size

Mirror = Literal["never", "first", "last"]


@dataclass(frozen=True)
class Geometry:
    """What is done to an image.

    Attributes:
        size: of the image.
        scaled: what the whole image is brought to.
        window: what is cut out of that.
        extent: what the window is brought to, as the image lies on the canvas.
        mirror: whether left and right are exchanged, before the other steps or after them. It
            matters for rounding alone: whoever computes the pixels of a published pipeline has to
            keep its order.
    """

    size: Size
    scaled: Size
    window: Crop
    extent: Size
    mirror: Mirror = "never"

    @property
    def scale(self) -> Floats:
        """(2,) canvas pixels an image pixel, x and y."""
        return self._affine()[0]

    def boxes(self, boxes: Floats) -> Floats:
        """(n, 4) x1, y1, x2, y2 in image pixels -> in canvas pixels, not clipped."""
        scale, offset = self._affine()
        corners = boxes.reshape(-1, 2, 2) * scale + offset
        if self.mirror != "never":
            corners[:, :, 0] = self.extent[1] - corners[:, ::-1, 0]
        return corners.reshape(-1, 4)

    def sources(self) -> tuple[Ints, Ints]:
        """The image row that each row of the extent shows where no pixels are mixed, and likewise
        its columns; both monotone."""
        top, left, height, width = self.window
        rows = _chosen(self.size[0], self.scaled[0], top, height, self.extent[0])
        columns = _chosen(self.size[1], self.scaled[1], left, width, self.extent[1])
        if self.mirror == "first":
            # The window is in mirrored pixels.
            columns = self.size[1] - 1 - columns
        elif self.mirror == "last":
            columns = columns[::-1]
        return rows, columns

    def _affine(self) -> tuple[Floats, Floats]:
        """Scale and offset, x and y, of all steps but the mirror, written as if it came last."""
        top, left, height, width = self.window
        first = np.array(self.scaled[::-1]) / np.array(self.size[::-1])
        second = np.array(self.extent[::-1]) / np.array([width, height])
        if self.mirror == "first":
            left = self.scaled[1] - left - width
        return first * second, -np.array([left, top]) * second


def whole(size: Size) -> Crop:
    """A window that is all of it."""
    return Crop(0, 0, *size)


def _chosen(length: int, scaled: int, start: int, count: int, extent: int) -> Ints:
    """Numbers of the pixels along an axis that are left of `length` after all steps."""
    numbers: Ints = _nearest(length, scaled)[start : start + count][_nearest(count, extent)]
    return numbers


def _nearest(source: int, target: int) -> Ints:
    """For each of `target` pixels the one of `source` that OpenCV's INTER_NEAREST takes: the one
    at or before its left border, with the quotient rounded as there."""
    step = 1.0 / (target / source)
    found: Ints = np.floor(np.arange(target) * step).astype(np.int64)
    return found.clip(max=source - 1)
