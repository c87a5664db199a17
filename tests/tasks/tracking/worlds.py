"""Sequences whose answer is known, and networks that need no training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tasks.contract import DataError
from tasks.tracking.matching import Matcher, Response
from tasks.tracking.recipe import TrackingRecipe
from tasks.tracking.sequences import Frames

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]


def recipe(size: tuple[int, int] = (64, 64), **sections: Any) -> TrackingRecipe:
    """Smoke settings for search images of `size`."""
    given: dict[str, Any] = {
        "scale": "smoke",
        "backbone": {"input_size": size},
        "data": {"name": "microworld"},
        "optimizer": {"lr": 1e-3},
        "schedule": {},
        "train": {"batch_size": 4, "steps": 4},
        "crop": {"template_size": (32, 32)},
    }
    given["crop"] |= sections.pop("crop", {})
    return TrackingRecipe.model_validate(given | sections)


class Painted(Frames):
    """Images at hand; what was asked for is noted.

    Args:
        images: (H,W,3) each.
        broken: the frame that cannot be read.
    """

    def __init__(self, images: Sequence[Pixels], broken: int | None = None) -> None:
        self.images, self.broken = images, broken
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def read(self, frame: int) -> Pixels:
        self.asked.append(frame)
        if frame == self.broken:
            raise DataError(f"painted: {self.name(frame)} cannot be read")
        return self.images[frame]

    def name(self, frame: int) -> str:
        return f"{frame:03}.png"


def blank(length: int, size: tuple[int, int] = (120, 160), seed: int = 0) -> Painted:
    """Noise, another in each frame."""
    rng = np.random.default_rng(seed)
    return Painted([rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(length)])


def moving(length: int, seed: int, size: tuple[int, int] = (120, 160)) -> tuple[Painted, Floats]:
    """A textured square of one colour that wanders and grows over grey noise, and its boxes."""
    rng = np.random.default_rng(seed)
    height, width = size
    colour = np.array([200.0, 40.0, 40.0])[rng.permutation(3)]
    texture = rng.uniform(0.8, 1.2, (256, 256, 1))
    phase, images, boxes = rng.uniform(0, 2 * np.pi, 2), [], []
    for frame in range(length):
        time = frame / 12
        w, h = 20 + 0.5 * frame, 26 + 0.5 * frame
        x = (width - w) * (0.5 + 0.4 * np.sin(2 * time + phase[0]))
        y = (height - h) * (0.5 + 0.4 * np.sin(3 * time + phase[1]))
        left, top, right, bottom = (round(v) for v in (x, y, x + w, y + h))
        image = np.repeat(rng.uniform(60, 190, (height, width, 1)), 3, axis=2)
        part = texture[: bottom - top, : right - left] * colour
        image[top:bottom, left:right] = part
        images.append(image.round().clip(0, 255).astype(np.uint8))
        boxes.append([left, top, right - left, bottom - top])
    return Painted(images), np.array(boxes, np.float64)


def batch(frames: Sequence[Frames], firsts: Sequence[Floats]) -> dict[str, Any]:
    """As the engine hands it over, samples from 10 on."""
    return {
        "frames": list(frames),
        "name": [f"sequence {k}" for k in range(len(frames))],
        "first": torch.from_numpy(np.array(firsts, np.float64)),
        "index": torch.arange(10, 10 + len(frames)),
    }


class Colours(Matcher):
    """Looks for the colour in the template's middle: the box of all pixels that have it."""

    def __init__(self, given: TrackingRecipe) -> None:
        super().__init__()
        self.recipe = given

    def template(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        middle = images[:, :, height // 2 - 3 : height // 2 + 3, width // 2 - 3 : width // 2 + 3]
        return functional.normalize(middle.mean((2, 3)), dim=1)

    def match(self, template: Tensor, images: Tensor) -> Response:
        alike = torch.einsum("bc,bchw->bhw", template, functional.normalize(images, dim=1)) > 0.95
        boxes = torch.stack([_extent(each) for each in alike])
        scores = functional.avg_pool2d(alike[:, None].float(), 8)[:, 0]
        return Response(scores, boxes[:, None, None].expand(*scores.shape, 4))


def _extent(mask: Tensor) -> Tensor:
    """(4,) centre and sides, as shares, of what is true in (H,W)."""
    if not mask.any():
        return torch.tensor([0.5, 0.5, 0.1, 0.1])
    found = []
    for axis in (0, 1):
        places = mask.any(axis).nonzero()[:, 0]
        length = mask.shape[1 - axis]
        low, high = float(places[0]) / length, float(places[-1] + 1) / length
        found.append(((low + high) / 2, high - low))
    (x, w), (y, h) = found
    return torch.tensor([x, y, w, h])


class Scripted(Matcher):
    """Answers what `script(call, views)` says, whatever it sees: scores (N,h,w) and boxes
    (N,h,w,4) of the views of its n-th call."""

    def __init__(
        self, given: TrackingRecipe, script: Callable[[int, int], tuple[Tensor, Tensor]]
    ) -> None:
        super().__init__()
        self.recipe, self.script, self.calls = given, script, 0
        self.given: list[Tensor] = []

    def template(self, images: Tensor) -> Tensor:
        self.given.append(images)
        return images.flatten(1)

    def match(self, template: Tensor, images: Tensor) -> Response:
        assert len(template) == len(images)
        self.given.append(images)
        self.calls += 1
        return Response(*self.script(self.calls, len(images)))


def one_cell(box: Sequence[float], score: float = 1.0, count: int = 1) -> tuple[Tensor, Tensor]:
    """A response of one cell, the same for all of `count` images."""
    return torch.full((count, 1, 1), score), torch.tensor(box).expand(count, 1, 1, 4)
