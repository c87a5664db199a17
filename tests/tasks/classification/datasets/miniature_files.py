"""What the miniatures are made of: images and lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (36, 48)
"""Height and width of the images; 36 leaves something of an aircraft."""


@dataclass(frozen=True)
class Miniature:
    """What was written.

    Attributes:
        class_names: by number.
        parts: train, val and test -> name of each image and its label or labels, in order.
    """

    class_names: tuple[str, ...]
    parts: dict[str, list[tuple[str, Any]]]


def colour(label: int) -> np.ndarray:
    """The colour of a class, far from that of the next ones."""
    return np.array([(label * 97 + 40) % 256, (label * 57 + 130) % 256, (label * 31) % 256])


def write(path: Path, label: int, number: int, kind: str = "JPEG") -> None:
    """Write an image of a class; `number` makes each one different."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((label, number))
    noise = rng.integers(-6, 7, (*SIZE, 3))
    pixels = np.clip(colour(label) + noise, 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    image.save(path, kind, **({"quality": 95} if kind == "JPEG" else {}))


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
