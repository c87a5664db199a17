"""Targets followed through their sequences, several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tasks.tracking.crops import Window, corners, mean_colour
from tasks.tracking.postprocess import choose, in_crop
from tasks.tracking.reading import lockstep
from tasks.tracking.rows import row
from tasks.tracking.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tasks.contract import Row
    from tasks.tracking.matching import Matcher

    Floats = NDArray[np.float64]
    Pixels = NDArray[np.uint8]


@torch.no_grad()
def follow(matcher: Matcher, batch: dict[str, Any]) -> list[Row]:
    """Follow B targets from the box of their first frame to the last one, a row each.

    All are at the same frame: their search areas go through the network together, those of the
    sequences that still have frames. What is found of one depends on the others by rounding alone.

    Args:
        matcher: in evaluation mode, on the device of `batch["index"]`.
        batch: `frames`, a list of B `Frames`; `name`, a list of B strings; `first` (B,4) float64
            x, y, width, height; `index` (B,).

    Raises:
        DataError: naming sequence and frame, where it cannot be read.
        FloatingPointError: likewise, where the network's response is no number.
    """
    with matcher.unchanging():
        targets = _followed(matcher, batch)
    return [
        row(sample, each.name, each.boxes, each.scores, each.centres, each.maps)
        for sample, each in zip(batch["index"].tolist(), targets, strict=True)
    ]


def _followed(matcher: Matcher, batch: dict[str, Any]) -> list[Target]:
    frames, names = batch["frames"], batch["name"]
    targets: list[Target] = []
    for frame, images in enumerate(lockstep(frames)):
        if frame == 0:
            firsts = batch["first"].cpu().numpy()
            colours = [mean_colour(images[k]) for k in range(len(frames))]
            targets = [
                Target(*each, matcher.recipe, matcher.scale_search)
                for each in zip(names, firsts, colours, map(len, frames), strict=True)
            ]
            memory = _remembered(matcher, targets, images, batch["index"].device)
        else:
            _step(matcher, memory, targets, frame, images)
    return targets


def _remembered(
    matcher: Matcher, targets: list[Target], images: Mapping[int, Pixels], device: torch.device
) -> Tensor:
    """(B,...) what the network remembers of the first frames."""
    view = matcher.template_view
    windows = [Window.of(each.box, *view) for each in targets]
    cuts = [w.cut(images[k], view.size, targets[k].colour) for k, w in enumerate(windows)]
    boxes = [w.to_crop(corners(each.box)) for w, each in zip(windows, targets, strict=True)]
    where = torch.from_numpy(np.stack(boxes)).float().to(device)
    return matcher.remember(_on_device(matcher, cuts, device), where)


def _step(
    matcher: Matcher,
    memory: Tensor,
    targets: list[Target],
    frame: int,
    images: Mapping[int, Pixels],
) -> None:
    """Find the targets of `images` in their next frame."""
    recipe = matcher.recipe
    size, factor = recipe.backbone.input_size, recipe.crop.search_factor
    scales = (1.0,) if matcher.scale_search is None else matcher.scale_search.scales
    views = [(k, scale) for k in images for scale in scales]
    around = [targets[k].around(scale) for k, scale in views]
    windows = [Window.of(box, factor, size, recipe.crop.min_side) for box in around]
    cuts = [
        window.cut(images[k], size, targets[k].colour)
        for window, (k, _) in zip(windows, views, strict=True)
    ]
    owners = [k for k, _ in views]
    # Nothing is copied while each target has its one view.
    templates = memory if owners == list(range(len(memory))) else memory[owners]
    response = matcher.match(templates, _on_device(matcher, cuts, memory.device))
    chosen = choose(response, recipe.test.window)
    figures = torch.cat((chosen.boxes, chosen.confidences[:, None], chosen.scores[:, None]), 1)
    found = figures.double().cpu().numpy()
    _require_numbers(found, [targets[k].name for k in owners], frame)
    found[:, :4] = in_crop(found[:, :4], size)
    found[:, :4] = [w.to_image(box) for w, box in zip(windows, found[:, :4], strict=True)]
    maps = _bytes(response.scores) if recipe.predictions.maps else None
    for number, (k, image) in enumerate(images.items()):
        part = slice(number * len(scales), (number + 1) * len(scales))
        best = targets[k].take(frame, found[part], image.shape[:2])
        if maps is not None:
            targets[k].keep_map(frame, maps[part][best])


def _require_numbers(found: Floats, names: list[str], frame: int) -> None:
    for name, figures in zip(names, found, strict=True):
        if not np.isfinite(figures).all():
            raise FloatingPointError(f"`{name}`, frame {frame}: the network's answer is no number")


def _on_device(matcher: Matcher, cuts: list[Pixels], device: torch.device) -> Tensor:
    """(N,3,h,w) in [0,1]."""
    stacked = torch.from_numpy(np.stack(cuts)).to(device).permute(0, 3, 1, 2).contiguous()
    return matcher.pixels({"image": stacked})


def _bytes(scores: Tensor) -> Pixels:
    """(N,h,w) in 255ths."""
    found: Pixels = (scores.float() * 255).round().clamp(0, 255).byte().cpu().numpy()
    return found
