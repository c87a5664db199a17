"""Image files: a truncated one is refused, never filled up.

Bytes that are wrong in the middle are found where the format has checksums (PNG); a damaged JPEG
decodes to other pixels, and no decoder here tells.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataError

_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"


def read(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode an image to RGB (H, W, 3).

    Args:
        path: the file.
        size: width and height after its annotation; where the file's orientation tag decides
            between the two ways to hold it, the annotation does.

    Raises:
        DataError: a file that is missing, ends too early, is no image, or is of another size.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the image {path}: {error.strerror}") from None
    if not content:
        raise DataError(f"the image {path} is empty")
    if not _complete(content):
        _decode_strictly(path)
    buffer = np.frombuffer(content, dtype=np.uint8)
    found = (0, 0)
    for flag in (cv2.IMREAD_IGNORE_ORIENTATION, 0):
        try:
            image = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB | flag)
        except cv2.error as error:
            raise DataError(f"{path} cannot be decoded: {' '.join(str(error).split())}") from None
        if image is None:
            raise DataError(f"{path} is not an image that can be decoded")
        found = (image.shape[1], image.shape[0])
        if found == size:
            return np.asarray(image, dtype=np.uint8)
    raise DataError(
        f"the image {path} is {found[0]}x{found[1]}, its annotation says {size[0]}x{size[1]}"
    )


def _complete(content: bytes) -> bool:
    """Whether the end of the file is the end of the image: OpenCV fills up a truncated one."""
    if content.startswith(_JPEG):
        return content.endswith(_JPEG_END)
    return content.startswith(_PNG) and content.endswith(_PNG_END)


def _decode_strictly(path: Path) -> None:
    """For files of other formats, or with something behind the image: Pillow tells."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"the image {path} is truncated or damaged: {error}") from None
