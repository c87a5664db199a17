"""A sequence as a film or on a sheet: boxes, search areas, scores, overlap over time."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from tasks.figures import DPI, INK, LARGE, NORMAL, Page, font, shortened
from tasks.films import as_gif
from tasks.tracking.crops import Window, corners
from tasks.tracking.drawing import BOXES, about, boxes, curve, extent, pasted, spread, words
from tasks.tracking.followed import Followed, named
from tasks.tracking.views import AREA, FOUND, OUTSIDE, RIM, TRUE, Colour, Mark, outline, view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.contract import Row
    from tasks.tracking.recipe import TrackingRecipe

    Floats = NDArray[np.float64]

MOST, BYTES = 300, 4_000_000
"""Frames and, about, size of a film; of longer sequences some frames are shown, evenly over the
time."""
COLUMNS, LINES = 6, 3
"""Frames on a sheet."""
COLOURS = 64
"""Of a film's palette: more make larger files and are hardly seen."""

_VIEW, _WIDEST, _INSET = 1.9, 3.0, 1.4
_SEARCH = 0.9
_GAP, _LINE, _CURVE = 0.15, 0.17, 0.8
_OPACITY = 0.8
"""Of the colour of a score of 1."""
_SCORE: Colour = (0, 114, 178)
_MARKER: Colour = (213, 94, 0)
_TRIED, _NEAR = 6, 16
_NEAREST = Image.Resampling.NEAREST
_NO_AREA: Colour = (238, 238, 238)


def film(rows: list[Row], dataset: Any, name: str, title: str) -> list[Image.Image]:
    """The frames of a sequence, all of one size and palette (mode P): the image with true and
    predicted box and search area, the search area with the scores of its cells, the overlap over
    time with a marker.

    Raises:
        DataError: there is no such sequence, its row does not fit it, or a frame cannot be read.
    """
    found = named(rows, dataset, name)
    count = min(len(found), MOST)
    stage = _Stage(found, dataset.recipe, title, count)
    trial = [stage.picture(frame) for frame in spread(len(found), _TRIED)]
    palette = _palette(trial)
    size = len(as_gif([_coloured(each, palette) for each in trial]))
    affordable = max(1, BYTES * len(trial) // size)
    if affordable < count:
        count = affordable
        stage = _Stage(found, dataset.recipe, title, count)
    # One after the other: before it has its palette a frame takes three times the memory.
    return [_coloured(stage.picture(frame), palette) for frame in spread(len(found), count)]


def sheet(rows: list[Row], dataset: Any, name: str, title: str) -> Image.Image:
    """Frames of a sequence evenly over its time as in `film`, and the overlap over time.

    Raises:
        DataError: as `film`.
    """
    found = named(rows, dataset, name)
    shown = spread(len(found), COLUMNS * LINES)
    images = [found.sequence.frames.read(frame) for frame in shown]
    height, width = extent(images)
    across, down = width + 0.08, height + _SEARCH + 3 * _LINE
    lines = -(-len(shown) // COLUMNS)
    size = (COLUMNS * across - 0.08, lines * down + _CURVE + 0.3)
    heading = shortened(about(found), size[0], LARGE)
    page = Page(heading, title, size, [_shown(len(shown), found), _note(found)])
    views = []
    for number, (frame, image) in enumerate(zip(shown, images, strict=True)):
        left, top = number % COLUMNS * across, number // COLUMNS * down
        marks = [_around(found, frame, dataset.recipe), *boxes(found, frame)]
        canvas = view(image, marks, round(height * DPI), round(width * DPI))
        views.append((canvas, page.pixel(left, top)))
        page.text(left, top + height + 0.13, words(found, frame))
        inset = search(image, found, frame, dataset.recipe, round(_SEARCH * DPI))
        views.append((inset, page.pixel(left, top + height + _LINE + 0.03)))
        page.text(left, top + height + _SEARCH + _LINE + 0.16, _score(found, frame))
    axes = page.axes(0.5, lines * down + 0.1, size[0] - 0.7, _CURVE)
    curve(axes, found, shown)
    return pasted(page.image(), views)


class _Stage:
    """What is the same in all frames of a film, drawn once."""

    def __init__(self, found: Followed, recipe: TrackingRecipe, title: str, count: int) -> None:
        self.found, self.recipe = found, recipe
        image = found.sequence.frames.read(0)
        self.height = min(_VIEW, _WIDEST * image.shape[0] / image.shape[1])
        self.width = self.height * image.shape[1] / image.shape[0]
        self.below = max(self.height, _INSET) + 0.05
        top = self.below + 2 * _LINE
        size = (self.width + _GAP + _INSET, top + _GAP + _CURVE + 0.2)
        notes = [_shown(count, found), _note(found)]
        heading = shortened(found.sequence.name, size[0], LARGE)
        page = Page(heading, title, size, notes)
        left, across = 0.5, size[0] - 0.6
        curve(page.axes(left, top + _GAP, across, _CURVE), found, [])
        self.page, self.drawn = page, page.image()
        self.track = (*page.pixel(left, top + _GAP), round(across * DPI), round(_CURVE * DPI))

    def picture(self, frame: int) -> Image.Image:
        """One frame, RGB."""
        found = self.found
        image = found.sequence.frames.read(frame)
        canvas = self.drawn.copy()
        marks = [_around(found, frame, self.recipe), *boxes(found, frame)]
        shown = view(image, marks, round(self.height * DPI), round(self.width * DPI))
        canvas.paste(shown, self.page.pixel(0, 0))
        left = self.width + _GAP
        inset = search(image, found, frame, self.recipe, round(_INSET * DPI))
        canvas.paste(inset, self.page.pixel(left, 0))
        pen = ImageDraw.Draw(canvas)
        number = f"frame {frame + 1} of {len(found)}"
        overlap = words(found, frame).partition(": ")[2]
        for place_, line in (
            ((0, self.below), number),
            ((0, self.below + _LINE), overlap),
            ((left, self.below), _score(found, frame)),
        ):
            pen.text(self.page.pixel(*place_), line, fill=INK, font=font(NORMAL))
        self._marker(pen, frame)
        return canvas

    def _marker(self, pen: ImageDraw.ImageDraw, frame: int) -> None:
        left, top, width, height = self.track
        x = left + round(width * frame / max(1, len(self.found) - 1))
        pen.line((x, top, x, top + height), fill=_MARKER, width=2)
        overlap = self.found.overlaps[frame]
        if not isnan(overlap):
            y = top + round(height * (1 - overlap))
            pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=_MARKER)


def _around(found: Followed, frame: int, recipe: TrackingRecipe) -> Mark:
    return Mark(area(found.centres[frame], recipe), AREA, width=1)


def window(centre: Floats, recipe: TrackingRecipe, size: tuple[int, int]) -> Window | None:
    """Of the search area around a box (4,), `size` in the shape of the encoder's input; None where
    there was no search."""
    if not np.isfinite(centre).all():
        return None
    return Window.of(centre, recipe.crop.search_factor, size, recipe.crop.min_side)


def area(centre: Floats, recipe: TrackingRecipe) -> Floats:
    """(4,) x, y, width, height of the search area around a box, in pixels of the image; NaN where
    there was none."""
    size = recipe.backbone.input_size
    found = window(centre, recipe, size)
    if found is None:
        return np.full(4, np.nan)
    x1, y1, x2, y2 = found.to_image(np.array([0.0, 0.0, size[1], size[0]]))
    return np.array([x1, y1, x2 - x1, y2 - y1])


def search(
    image: NDArray[np.uint8], found: Followed, frame: int, recipe: TrackingRecipe, side: int
) -> Image.Image:
    """The search area of a frame in grey, its cells the more blue the higher their score, with both
    boxes, its longer side of so many pixels; a light field where there is none."""
    input_size = np.array(recipe.backbone.input_size)
    height, width = np.rint(input_size * side / input_size.max()).astype(int).tolist()
    there = window(found.centres[frame], recipe, (height, width))
    if there is None:
        return Image.new("RGB", (width, height), _NO_AREA)
    canvas = Image.fromarray(there.cut(image, (height, width), np.array(OUTSIDE)))
    if found.maps is not None:
        cells = Image.fromarray(found.maps[frame]).resize((width, height), _NEAREST)
        opacity = cells.point(lambda score: round(_OPACITY * score))
        canvas = canvas.convert("L").convert("RGB")
        canvas.paste(_SCORE, (0, 0, width, height), opacity)
    for mark in boxes(found, frame):
        x1, y1, x2, y2 = there.to_crop(corners(mark.box))
        outline(canvas, [mark._replace(box=np.array([x1, y1, x2 - x1, y2 - y1]), width=2)])
    return canvas


def _score(found: Followed, frame: int) -> str:
    if not np.isfinite(found.centres[frame]).all():
        return "no search area"
    score = found.scores[frame]
    return "no score" if isnan(score) else f"score {score:.2f}"


def _shown(count: int, found: Followed) -> str:
    if count == len(found):
        return ""
    return f"{count} of {len(found)} frames are shown, evenly over the time."


def _note(found: Followed) -> str:
    maps = "blue: cells of a high score" if found.maps is not None else "score maps were not kept"
    return f"{BOXES} White: search area; in it, {maps}."


def _palette(some: list[Image.Image]) -> Image.Image:
    """Of a film of which these are some frames; the colours of lines are exact in it."""
    montage = Image.new("RGB", (some[0].width, sum(each.height for each in some)))
    for number, each in enumerate(some):
        montage.paste(each, (0, number * each.height))
    found = montage.quantize(COLOURS, Image.Quantize.MEDIANCUT).getpalette()
    colours, lines = np.array(found).reshape(-1, 3), np.array([TRUE, FOUND, AREA, RIM, OUTSIDE])
    # Pillow takes a near colour of the palette, which need not be the nearest.
    apart = (abs(colours[:, None] - lines).max(2) > _NEAR).all(1)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([lines, colours[apart]]).ravel().tolist())
    return palette


def _coloured(picture: Image.Image, palette: Image.Image) -> Image.Image:
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)
