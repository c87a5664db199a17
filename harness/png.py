"""Pictures as PNG files, each whole or not at all."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from results.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image


def stem(name: str) -> str:
    """A name as a part of a file's."""
    return re.sub(r"[^\w.@-]+", "_", name)


def write(image: Image, path: Path) -> Path:
    """Write a picture in place of what is there; returns its path."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
    return path
