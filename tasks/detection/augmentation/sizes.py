"""What size an image is brought to."""

from __future__ import annotations

from tasks.detection.augmentation.view import Size


def bounded(size: Size, short: int, long: int) -> Size:
    """As large as it can be with a short side of at most `short` and a long one of at most `long`,
    rounded half up (mmcv's `rescale_size`)."""
    return _rounded(size, min(short / min(size), long / max(size)))


def fitted(size: Size, canvas: Size) -> Size:
    """As large as it can be within the canvas, rounded half up."""
    return _rounded(size, min(canvas[0] / size[0], canvas[1] / size[1]))


def jittered(size: Size, canvas: Size, scale: float) -> Size:
    """As large as it can be within `scale` times the canvas, rounded half to even (detectron2's
    `ResizeScale`)."""
    height, width = size
    factor = min(canvas[0] * scale / height, canvas[1] * scale / width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _rounded(size: Size, factor: float) -> Size:
    height, width = size
    return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))
