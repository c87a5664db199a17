"""Images that have the size which their annotation states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import images
from tasks.contract import DataError
from tasks.names import printable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def read(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode an image to RGB (H, W, 3).

    Args:
        path: the file.
        size: width and height after its annotation; where the file's orientation tag decides
            between the two ways to hold it, the annotation does.

    Raises:
        DataError: a file that is missing, ends too early, is no image, or is of another size.
    """
    name = printable(str(path))
    content = images.stored(path)
    found = (0, 0)
    for upright in (False, True):
        image = images.decode(content, name, upright=upright)
        found = (image.shape[1], image.shape[0])
        if found == size:
            return image
    raise DataError(
        f"the image {name} is {found[0]}x{found[1]}, its annotation says {size[0]}x{size[1]}"
    )
