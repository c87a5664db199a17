"""Predictions beside the truth."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tasks.contract import Gallery
from tasks.detection.masks import decode
from tasks.rows import in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tasks.contract import Row
    from tasks.detection.annotations import Annotations, Rle
    from tasks.detection.data import DetectionDataset

SHOWN = 8
COLUMNS = 2
SIDE = 320
"""Longer side of a picture in the sheet."""
MOST = 12
"""Predictions of an image at most."""
SURE = 0.3
"""Predictions of a lower score are drawn with thin lines."""

COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Okabe and Ito's palette without black: told apart by the colour-blind, too."""

_MARGIN, _GAP, _TITLE = 8, 2, 16
_LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green, blue (ITU-R BT.601)."""
_OPACITY = 0.45
_CROWD = "crowd"


def pictures(rows: list[Row], dataset: DetectionDataset, title: str) -> Gallery:
    """The sheet of the first images, with what is not on it.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    rows = in_order(rows, len(dataset))
    note = (
        f"{title}: the first {min(SHOWN, len(rows))} of {len(rows)} images, of each the {MOST} "
        f"predictions of the highest scores; thin lines: below {SURE}"
    )
    return Gallery({"samples": draw(rows, dataset)}, notes=(note,))


def draw(rows: list[Row], dataset: DetectionDataset) -> Image.Image:
    """A sheet of the first images: on the left the prediction, on the right the annotation.

    Each object has its box, its mask where there is one, its class and, if it is predicted, its
    score. Classes have colours, which come again after the seventh; the words tell.
    """
    chosen = sorted(rows, key=lambda row: int(row["sample"]))[:SHOWN]
    pairs = [_pair(row, dataset) for row in chosen]
    lines = [pairs[start : start + COLUMNS] for start in range(0, len(pairs), COLUMNS)]
    heights = [max(pair.height for pair in line) + _MARGIN for line in lines]
    width = COLUMNS * (2 * SIDE + _GAP + _MARGIN) + _MARGIN
    sheet = Image.new("RGB", (width, sum(heights) + _MARGIN), "white")
    top = _MARGIN
    for line, height in zip(lines, heights, strict=True):
        for column, pair in enumerate(line):
            sheet.paste(pair, (_MARGIN + column * (2 * SIDE + _GAP + _MARGIN), top))
        top += height
    return sheet


def _pair(row: Row, dataset: DetectionDataset) -> Image.Image:
    image = dataset.image(int(row["sample"]))
    found = (("prediction", _predicted(row, dataset)), ("truth", _annotated(row, dataset)))
    views = [(title, picture(image, objects)) for title, objects in found]
    pair = Image.new("RGB", (2 * SIDE + _GAP, views[0][1].height + _TITLE), "white")
    for column, (title, view) in enumerate(views):
        left = column * (SIDE + _GAP)
        words = f"{title}, image {row['image_id']}"
        ImageDraw.Draw(pair).text((left, 0), words, fill="black", font=_font())
        pair.paste(view, (left, _TITLE))
    return pair


class Drawn:
    """An object to be drawn: box x, y, width, height in image pixels, class, mask, words."""

    def __init__(
        self, box: Sequence[float], category: int, mask: Rle | None, words: str, sure: bool
    ) -> None:
        self.box, self.mask, self.words, self.sure = box, mask, words, sure
        self.colour = COLOURS[category % len(COLOURS)]


def picture(image: NDArray[np.uint8], objects: Sequence[Drawn]) -> Image.Image:
    """An image (H, W, 3), its longer side brought to `SIDE`, with objects, the last on top."""
    scale = SIDE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    pixels = np.asarray(Image.fromarray(image).resize(size), np.float64)
    for each in objects:
        if each.mask is not None:
            inside = _mask(each.mask, size)
            pixels[inside] += _OPACITY * (each.colour - pixels[inside])
    canvas = Image.fromarray(np.rint(pixels).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    for each in objects:
        _outline(pen, each, scale)
    for each in objects:
        if each.words:
            _words(pen, each, scale, size)
    return canvas


def _outline(pen: ImageDraw.ImageDraw, each: Drawn, scale: float) -> None:
    x, y, w, h = (value * scale for value in each.box)
    corners = [x, y, max(x, x + w - 1), max(y, y + h - 1)]
    if each.sure:
        # A dark rim keeps light colours visible on a light ground.
        pen.rectangle([x - 1, y - 1, corners[2] + 1, corners[3] + 1], outline=(0, 0, 0))
    pen.rectangle(corners, outline=each.colour, width=2 if each.sure else 1)


def _words(pen: ImageDraw.ImageDraw, each: Drawn, scale: float, size: tuple[int, int]) -> None:
    """On the box's upper edge, as far as they are in the picture there."""
    _, _, right, bottom = pen.textbbox((0, 0), each.words, font=_font())
    x = max(0.0, min(each.box[0] * scale, size[0] - right - 3))
    y = max(0.0, min(each.box[1] * scale - bottom - 2, size[1] - bottom - 2))
    pen.rectangle([x, y, x + right + 2, y + bottom + 1], fill=each.colour)
    ink = (0, 0, 0) if np.dot(each.colour, _LUMINANCE) > 110 else (255, 255, 255)
    pen.text((x + 1, y), each.words, fill=ink, font=_font())


def _predicted(row: Row, dataset: DetectionDataset) -> list[Drawn]:
    names = dataset.annotations.categories
    boxes = np.array(row["boxes"], np.float64).reshape(-1, 4)
    best = np.argsort(-np.array(row["scores"], np.float64), kind="stable")[:MOST]
    size = [int(row["height"]), int(row["width"])]
    found = []
    for k in best[::-1].tolist():
        category, score = int(row["categories"][k]), float(row["scores"][k])
        mask: Any = None
        if len(row["masks"]):
            mask = {"size": size, "counts": row["masks"][k].encode()}
        words = f"{names[category]} {score:.2f}"
        found.append(Drawn(boxes[k].tolist(), category, mask, words, score >= SURE))
    return found


def _annotated(row: Row, dataset: DetectionDataset) -> list[Drawn]:
    truth: Annotations = dataset.annotations
    objects = truth.objects.take(truth.objects.image == int(row["sample"]))
    found = []
    for k in range(len(objects)):
        category = int(objects.category[k])
        words = truth.categories[category] + (f" ({_CROWD})" if objects.crowd[k] else "")
        mask = objects.masks[k] if len(objects.masks) else None
        found.append(Drawn(objects.boxes[k].tolist(), category, mask, words, True))
    return found


def _mask(rle: Rle, size: tuple[int, int]) -> NDArray[np.bool_]:
    shrunk = Image.fromarray(decode(rle)).resize(size, Image.Resampling.NEAREST)
    return np.asarray(shrunk) > 0


@cache
def _font() -> Any:
    return ImageFont.load_default(10)
