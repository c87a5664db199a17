"""From a person's box to the network's input, and from there back to the image.

The geometry and the random boxes are mmpose's (datasets/transforms/common_transforms.py and
topdown_transforms.py), in float64 and from an explicit generator; the mirror image is part of the
one affine map, so only the crop is ever resampled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.pose.recipe import AugmentationRecipe
from tasks.pose.skeleton import Skeleton

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """What part of the image is cropped.

    Attributes:
        center: (2,) x, y in image pixels.
        scale: (2,) width and height in image pixels.
        rotation: degrees.
        mirrored: whether the image is mirrored first; center is then in mirrored pixels.
    """

    center: Floats
    scale: Floats
    rotation: float = 0.0
    mirrored: bool = False


def region(box: Floats, padding: float) -> Region:
    """The box (x, y, width, height), widened about its centre."""
    return Region(box[:2] + 0.5 * box[2:], box[2:] * padding)


def with_shape(scale: Floats, size: tuple[int, int]) -> Floats:
    """Widen (width, height) to the shape of `size` (height, width)."""
    aspect = size[1] / size[0]
    width, height = scale
    if width > height * aspect:
        return np.array([width, width / aspect])
    return np.array([height * aspect, height])


def matrix(area: Region, size: tuple[int, int], codec: Literal["udp", "msra"]) -> Floats:
    """The affine map (2, 3) from image to crop pixels.

    `area.scale` has the shape of `size` (height, width). UDP brings the centres of border pixels
    onto each other (Huang et al. 2020, section 3), the other the borders; as in mmpose the two
    turn in opposite directions.
    """
    height, width = size
    if codec == "udp":
        stretch = np.array([width - 1, height - 1]) / area.scale
        angle = math.radians(area.rotation)
        origin = 0.5 * area.scale
    else:
        # One factor for both axes, from the width, about the centre of the crop.
        stretch = np.full(2, width / area.scale[0])
        angle = -math.radians(area.rotation)
        origin = np.array([0.5 * width, 0.5 * height]) / stretch
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    offset = origin - turn @ area.center
    return np.concatenate((turn, offset[:, None]), axis=1) * stretch[:, None]


def mirror(affine: Floats, width: float) -> Floats:
    """The same map for an image `width` pixels wide that is mirrored first."""
    first, second, third = affine.T
    return np.stack((-first, second, third + first * (width - 1)), axis=1)


def back_to_image(points: Floats, center: Floats, scale: Floats, size: tuple[int, int]) -> Floats:
    """Take decoded joints (B, K, 2) to image pixels.

    Decoded UDP joints are W / (W - 1) too far from the corner; dividing by W undoes it, so this
    is right for both codecs (mmpose TopdownPoseEstimator.add_pred_to_datasample).
    """
    extent = np.array([size[1], size[0]], dtype=float)
    corner = center - 0.5 * scale
    found: Floats = points / extent * scale[:, None, :] + corner[:, None, :]
    return found


def augment(
    area: Region,
    keypoints: Floats,
    visible: NDArray[np.bool_],
    skeleton: Skeleton,
    image_width: float,
    settings: AugmentationRecipe,
    rng: np.random.Generator,
) -> Region:
    """Draw mirror, half body, shift, scale and rotation; keypoints (K, 2) are not changed."""
    if rng.random() < settings.flip:
        center = np.array([image_width - 1 - area.center[0], area.center[1]])
        area = Region(center, area.scale, mirrored=True)
    if visible.sum() >= settings.half_body_joints and rng.random() < settings.half_body:
        chosen = _half(visible, np.array(skeleton.lower), rng)
        if chosen is not None:
            points = keypoints[chosen].copy()
            if area.mirrored:
                points[:, 0] = image_width - 1 - points[:, 0]
            extent = (points.max(0) - points.min(0)) * settings.half_body_padding
            # Joints on one line would give an empty crop.
            scale = np.maximum(extent, 1.0)
            area = Region(points.mean(0), scale, mirrored=area.mirrored)
    normal = _truncated_normal(rng, 4)
    shifted, scaled, turned = rng.random(3) < (
        settings.shift_probability,
        settings.scale_probability,
        settings.rotation_probability,
    )
    center, scale, rotation = area.center, area.scale, 0.0
    if shifted:
        center = center + normal[:2] * settings.shift * scale
    if scaled:
        low, high = settings.scale
        scale = scale * (0.5 * (low + high) + 0.5 * (high - low) * normal[2])
    if turned:
        rotation = float(normal[3] * settings.rotation)
    return Region(center, scale, rotation, area.mirrored)


def _half(
    visible: NDArray[np.bool_], lower: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64] | None:
    """Joints of the upper half in 7 of 10 draws, of the other where one has too few."""
    prefer_upper = rng.random() < 0.7
    up, down = np.flatnonzero(visible & ~lower), np.flatnonzero(visible & lower)
    if len(up) < 2 and len(down) < 3:
        return None
    if len(down) < 3:
        return up
    if len(up) < 2:
        return down
    return up if prefer_upper else down


def _truncated_normal(rng: np.random.Generator, count: int) -> Floats:
    """Standard normal numbers, those outside [-1, 1] drawn anew."""
    values = rng.standard_normal(count)
    while (outside := np.abs(values) > 1).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return values
