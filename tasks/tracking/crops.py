"""What is cut out around a target, and how coordinates go there and back (SwinTrack, after SiamFC).

Coordinates are continuous: the pixel in row i and column j covers i to i+1 and j to j+1, so its
centre is at x = j + 0.5, y = i + 0.5, and the middle of an image of width W at W / 2. Boxes are
x, y, width, height in the image, and corners x1, y1, x2, y2 where they are mapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np

from tasks.contract import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Pixels = NDArray[np.uint8]
    Size = tuple[int, int]

MARGIN = 0.5
"""Labels are clipped to so many pixels inside the search image (SwinTrack)."""

_DRAWS = 1000


@dataclass(frozen=True)
class Window:
    """An axis-parallel map from image to crop: (p - source) * scale + target.

    Attributes:
        scale: (2,) pixels of the crop to a pixel of the image, along x and y.
        source: (2,) x, y in the image.
        target: (2,) x, y in the crop, where `source` comes to lie.
    """

    scale: Floats
    source: Floats
    target: Floats

    @classmethod
    def of(cls, box: Floats, factor: float, size: Size, min_side: float = 0.0) -> Self:
        """The area around a box in the middle of a crop, both axes of one scale.

        With a box w x h and a factor f the crop shows the area
        (w + (f-1)(w+h)/2) * (h + (f-1)(w+h)/2) of the image, in the shape of the crop
        (Bertinetto et al. 2016, section 3.4; SwinTrack, siamfc_curation).

        Args:
            box: (4,) x, y, width, height; sides above 0 unless `min_side` is.
            factor: f; 1 shows the area of the box itself.
            size: height, width of the crop.
            min_side: smaller sides are enlarged to it about the centre.
        """
        sides = np.maximum(box[2:], min_side)
        area = np.prod(sides + (factor - 1) * sides.mean())
        height, width = size
        scale = np.full(2, np.sqrt(height * width / area))
        return cls(scale, box[:2] + 0.5 * box[2:], np.array([width, height]) / 2)

    @classmethod
    def jittered(
        cls,
        box: Floats,
        factor: float,
        size: Size,
        scale_jitter: float,
        shift_jitter: float,
        rng: np.random.Generator,
    ) -> Self:
        """That area stretched and moved at random, redrawn until the box reaches into the crop.

        `moved` by a stretch of exp(scale_jitter * N(0,1)) and a shift uniform in
        +-shift_jitter / 2, of each axis by itself.

        Raises:
            RecipeError: none of 1000 draws met the box.
        """
        still = cls.of(box, factor, size)
        for _ in range(_DRAWS):
            stretch = np.exp(scale_jitter * rng.standard_normal(2))
            window = still.moved(box, stretch, shift_jitter * (rng.random(2) - 0.5))
            x1, y1, x2, y2 = clip(window.to_crop(corners(box)), size, MARGIN)
            if x1 < x2 and y1 < y2:
                return window
        raise RecipeError(
            f"`crop.scale_jitter` {scale_jitter:g} and `crop.shift_jitter` {shift_jitter:g} move "
            f"the search area off its target in {_DRAWS} draws of {_DRAWS}: make them smaller"
        )

    def moved(self, box: Floats, stretch: Floats, shift: Floats) -> Self:
        """Divide the scale by `stretch` (2,), then move the window by `shift` (2,) times the mean
        of the box' sides as they are then in the crop: what it shows goes the other way."""
        scale = self.scale / stretch
        return type(self)(scale, self.source, self.target - shift * (box[2:] * scale).mean())

    def cut(self, image: Pixels, size: Size, colour: Floats) -> Pixels:
        """The crop (h,w,3) of an image (H,W,3).

        Bilinear between the centres of pixels, without a filter against aliasing, as the published
        trackers have it; the image goes on in `colour` (3,), rounded, on all sides. Up to rounding
        it is that definition's number (OpenCV 5; earlier ones round positions to 1/32 pixel).
        """
        # OpenCV counts from the centre of the first pixel.
        offset = (0.5 - self.source) * self.scale + self.target - 0.5
        matrix = np.array([[self.scale[0], 0, offset[0]], [0, self.scale[1], offset[1]]])
        found = cv2.warpAffine(
            image,
            matrix,
            size[::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=np.rint(colour).tolist(),
        )
        return np.asarray(found, np.uint8)

    def to_crop(self, boxes: Floats) -> Floats:
        """Corners (...,4) in the image as corners in the crop."""
        return (boxes - np.tile(self.source, 2)) * np.tile(self.scale, 2) + np.tile(self.target, 2)

    def to_image(self, boxes: Floats) -> Floats:
        """Corners (...,4) in the crop as corners in the image."""
        return (boxes - np.tile(self.target, 2)) / np.tile(self.scale, 2) + np.tile(self.source, 2)


def corners(boxes: Floats) -> Floats:
    """x, y, width, height (...,4) as x1, y1, x2, y2."""
    return np.concatenate((boxes[..., :2], boxes[..., :2] + boxes[..., 2:]), axis=-1)


def clip(boxes: Floats, size: Size, margin: float = 0.0) -> Floats:
    """The part of corners (...,4) that lies in an image of `size` (height, width), `margin` pixels
    inside its edges; a side is 0 where nothing does."""
    height, width = size
    return np.clip(boxes, margin, np.array([width, height, width, height]) - margin)


def mean_colour(image: NDArray[Any]) -> Floats:
    """(3,) of an image (H,W,3): what lies around it."""
    return np.array(cv2.mean(image)[:3])
