"""Films as files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

PAUSE = 100
"""Milliseconds that a frame stands."""


def as_gif(frames: Sequence[Image]) -> bytes:
    """Frames of one size and palette as a GIF without end."""
    buffer = io.BytesIO()
    first, *others = frames
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=PAUSE, loop=0)
    return buffer.getvalue()
