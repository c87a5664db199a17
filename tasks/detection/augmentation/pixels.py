"""The image on the canvas."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from tasks.detection.augmentation.geometry import Geometry
from tasks.detection.augmentation.view import Pixels, Size
from tasks.detection.recipe import Resampler


def render(image: Pixels, geometry: Geometry, canvas: Size, resampler: Resampler) -> Pixels:
    """(h, w, 3) -> (H, W, 3), zero outside the extent; one colour after the other in memory."""
    if geometry.mirror == "first":
        image = cv2.flip(image, 1)  # type: ignore[assignment]
    image = _resized(image, geometry.scaled, resampler)
    top, left, height, width = geometry.window
    image = _resized(image[top : top + height, left : left + width], geometry.extent, resampler)
    if geometry.mirror == "last":
        image = cv2.flip(image, 1)  # type: ignore[assignment]
    planes = np.zeros((3, *canvas), np.uint8)
    for plane, colour in zip(planes, cv2.split(image), strict=True):
        plane[: geometry.extent[0], : geometry.extent[1]] = colour
    return planes.transpose(1, 2, 0)


def _resized(image: Pixels, size: Size, resampler: Resampler) -> Pixels:
    if image.shape[:2] == size:
        return image
    if resampler == "pillow":
        whole = Image.fromarray(image)
        return np.asarray(whole.resize(size[::-1], Image.Resampling.BILINEAR))
    return cv2.resize(image, size[::-1])  # type: ignore[return-value]
