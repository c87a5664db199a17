"""Attention maps of one image in each encoder, for `attention.html`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from backbones import LoadError
from harness.analysis import encoders, images
from harness.analysis.attention_maps import Maps, Panel
from harness.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.asking import Inspection
    from harness.analysis.encoders import Subject
    from harness.console import Console

WEIGHTS = 8_000_000
"""Attention weights of one encoder in a page, at most: of larger ones blocks are left out."""


def panels(asked: Inspection, image: int, console: Console) -> list[Panel]:
    """What each encoder attends to in one of the images that were looked at.

    Encoders without attention have no panel. Of an encoder with more weights than a page holds,
    blocks at equal distances are taken, the last among them; a note says so.

    Raises:
        UserError: no image has that number.
    """
    found = []
    for name in asked.names:
        subject = encoders.open_subject(name, asked.input_size, console)
        panel = _panel(asked, subject, image, console)
        found += [] if panel is None else [panel]
    return found


@torch.no_grad()
def _panel(asked: Inspection, subject: Subject, image: int, console: Console) -> Panel | None:
    seen = images.open_images(asked.source, asked.count, subject.backbone.input_size)
    if not 0 <= image < len(seen):
        raise UserError(f"--image {image}: there are {len(seen)} images, numbered from 0")
    batch = seen.batch(image, image + 1)
    try:
        maps = [Maps.of(each) for each in subject.backbone.attention_in_windows(batch)]
    except LoadError:
        return None
    chosen = _some(maps)
    if len(chosen) < len(maps):
        numbers = ", ".join(str(each.block) for each in chosen)
        console.note(f"attention.html: of the {len(maps)} blocks of {subject.name} {numbers}")
    return Panel(subject.name, seen.read(image), tuple(chosen))


def _some(maps: Sequence[Maps]) -> list[Maps]:
    """The blocks that a page holds, at equal distances, the last among them."""
    total = sum(each.weights.size for each in maps)
    keep = len(maps) if total <= WEIGHTS else max(1, len(maps) * WEIGHTS // total)
    return [maps[len(maps) - 1 - i * len(maps) // keep] for i in reversed(range(keep))]
