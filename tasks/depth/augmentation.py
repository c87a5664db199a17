"""What training does to an image and its depth map, in the order of MIM-Depth-Estimation's code:
CutDepth, mirror, crop, then colours, which leave the depth as it is.

The publication pastes depth into every fourth sample that a loader's worker has made, which is no
function of seed, epoch and sample. Here each sample draws for itself, with the same share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from tasks.depth.cutdepth import columns, paste
from tasks.depth.photometric import disturb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.depth.maps import Stored
    from tasks.depth.recipe import AugmentationRecipe

    Image = NDArray[np.uint8]
    Size = tuple[int, int]


def augment(
    image: Image,
    depth: Stored,
    size: Size,
    settings: AugmentationRecipe,
    max_depth: float,
    rng: np.random.Generator,
) -> tuple[Image, Stored]:
    """An image (H,W,3) and its depth (H,W) for training, at `size`.

    Nothing is drawn for what the recipe leaves out.

    Args:
        size: height, width; at most that of the image where it is cropped.
        max_depth: that CutDepth shows as 255, in metres.
        rng: decides everything.
    """
    if settings.cutdepth and rng.random() < settings.cutdepth:
        where = columns(image.shape[1], settings.cutdepth_share, rng)
        image = paste(image, depth, where, settings.cutdepth_paste, max_depth)
    mirrored = settings.flip > 0 and rng.random() < settings.flip
    if settings.crop == "none":
        image, depth = resized(image, size), depth.at(size)
    else:
        image, depth = _cropped(image, depth, size, settings.crop == "random", mirrored, rng)
    if mirrored:
        image, depth = np.asarray(cv2.flip(image, 1), np.uint8), depth.mirrored()
    return disturb(image, settings, rng), depth


def _cropped(
    image: Image,
    depth: Stored,
    size: Size,
    random: bool,
    mirrored: bool,
    rng: np.random.Generator,
) -> tuple[Image, Stored]:
    """The part of `size` at int(u (H - h)) and int(u' (W - w)), u and u' uniform in [0,1), as in
    albumentations 1.1.0, or in the middle; counted in the mirror image where it will be one."""
    (height, width), spare = size, np.subtract(image.shape[:2], size)
    if random:
        top, left = (int(u * s) for u, s in zip(rng.random(2), spare, strict=True))
    else:
        top, left = (int(s) // 2 for s in spare)
    if mirrored:
        left = int(spare[1]) - left
    return image[top : top + height, left : left + width], depth.window(top, left, size)


def resized(image: Image, size: Size) -> Image:
    """The image (H,W,3) at another size: by areas where no edge grows, else bilinear (OpenCV's
    INTER_AREA and INTER_LINEAR)."""
    if image.shape[:2] == size:
        return image
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size[::-1], interpolation=kind), np.uint8)
