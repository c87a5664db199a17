"""A sheet of samples with every annotation drawn."""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tasks.microworld import ranges
from tasks.microworld.annotate import SceneAnnotations, annotate
from tasks.microworld.coco import SKELETON
from tasks.microworld.describe import VIDEO_FRAMES, describe, labels_of
from tasks.microworld.ranges import OBJECT_KINDS, Kind, Split
from tasks.microworld.render import Rendered, render

Cell = tuple[Image.Image, str]

_COLUMNS = 8
_CAPTION = 14
_VISIBILITY_COLOURS = {2: (60, 255, 60), 1: (255, 90, 40)}


def write_sheet(
    path: Path,
    seed: int = 0,
    size: tuple[int, int] = (128, 128),
    split: Split = "training",
    zoom: int = 2,
) -> None:
    """Write a PNG sheet: scenes plain, with boxes, masks, joints and depth; labelled object views
    of each kind; videos with the target's box. `size` is (height, width) before zooming.
    """
    first = ranges.first_index(split)
    scenes = [_look(seed, first + n, "scene", size) for n in range(_COLUMNS)]
    rows: list[list[Cell]] = [
        [(_picture(r.image, zoom), f"scene {n}") for n, (r, _) in enumerate(scenes)],
        [(_boxes(r, a, zoom), "visible and full boxes") for r, a in scenes],
        [(_masks(r, a, zoom), "instances") for r, a in scenes],
        [(_joints(r, a, zoom), "green seen, red hidden") for r, a in scenes],
        [(_depth(r, zoom), f"{r.depth.min():.1f} to {r.depth.max():.1f} m") for r, _ in scenes],
    ]
    for kind in OBJECT_KINDS:
        if split != "pretraining" or not kind.startswith("novel"):
            rows.append(_object_row(seed, first, kind, size, zoom))
    rows += [_video_row(seed, first + n, size, zoom) for n in range(4)]
    beside = path.with_name(f"{path.name}.part")
    _sheet(rows).save(beside, format="PNG")
    beside.replace(path)


def _look(
    seed: int, index: int, kind: Kind, size: tuple[int, int], frame: int = 0
) -> tuple[Rendered, SceneAnnotations]:
    scene = describe(seed, index, kind, frame)
    rendered = render(scene, size)
    return rendered, annotate(scene, rendered)


def _object_row(seed: int, first: int, kind: Kind, size: tuple[int, int], zoom: int) -> list[Cell]:
    names = labels_of(kind)
    cells = []
    for number in range(_COLUMNS):
        rendered, found = _look(seed, first + number, kind, size)
        assert found.label is not None
        cells.append((_picture(rendered.image, zoom), f"{kind}: {names[found.label]}"))
    return cells


def _video_row(seed: int, index: int, size: tuple[int, int], zoom: int) -> list[Cell]:
    cells = []
    for step in range(_COLUMNS):
        frame = step * VIDEO_FRAMES // _COLUMNS
        rendered, found = _look(seed, index, "video", size, frame)
        picture, item = _picture(rendered.image, zoom), found.target_item
        if item is not None:
            draw = ImageDraw.Draw(picture)
            draw.rectangle(_corners(item.full_box, zoom), outline=(255, 255, 0), width=2)
        text = "absent" if item is None else f"visible {item.visible:.2f}"
        cells.append((picture, f"frame {frame}: {text}"))
    return cells


def _picture(image: NDArray[np.uint8], zoom: int) -> Image.Image:
    height, width = image.shape[:2]
    return Image.fromarray(image).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)


def _corners(box: tuple[int, int, int, int], zoom: int) -> tuple[int, int, int, int]:
    x, y, w, h = (value * zoom for value in box)
    return x, y, x + w - 1, y + h - 1


def _hue(number: int) -> tuple[int, int, int]:
    r, g, b = colorsys.hsv_to_rgb(number * 0.381966 % 1.0, 0.9, 1.0)
    return round(255 * r), round(255 * g), round(255 * b)


def _boxes(rendered: Rendered, found: SceneAnnotations, zoom: int) -> Image.Image:
    picture = _picture(rendered.image, zoom)
    draw = ImageDraw.Draw(picture)
    for item in found.items:
        draw.rectangle(_corners(item.full_box, zoom), outline=(120, 120, 120))
        draw.rectangle(_corners(item.box, zoom), outline=_hue(item.instance), width=2)
        draw.text((item.box[0] * zoom + 3, item.box[1] * zoom + 1), item.category, (255, 255, 255))
    return picture


def _masks(rendered: Rendered, found: SceneAnnotations, zoom: int) -> Image.Image:
    image = rendered.image.astype(np.float32)
    for item in found.items:
        mask = rendered.instances == item.instance
        image[mask] = 0.35 * image[mask] + 0.65 * np.array(_hue(item.instance), dtype=np.float32)
    return _picture(image.astype(np.uint8), zoom)


def _joints(rendered: Rendered, found: SceneAnnotations, zoom: int) -> Image.Image:
    picture = _picture((rendered.image * 0.6).astype(np.uint8), zoom)
    draw = ImageDraw.Draw(picture)
    for item in found.persons:
        points = [((x + 0.5) * zoom, (y + 0.5) * zoom, v) for x, y, v in item.keypoints]
        for first, second in SKELETON:
            a, b = points[first - 1], points[second - 1]
            if a[2] and b[2]:
                draw.line((*a[:2], *b[:2]), fill=(240, 240, 240))
        for x, y, v in points:
            if v:
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=_VISIBILITY_COLOURS[v])
    return picture


def _depth(rendered: Rendered, zoom: int) -> Image.Image:
    near = np.clip(1.0 - (rendered.depth - 1.0) / 9.0, 0.0, 1.0)
    channels = (near, 4.0 * near * (1.0 - near), 1.0 - near)
    return _picture(np.rint(255 * np.stack(channels, axis=-1)).astype(np.uint8), zoom)


def _sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    width, height = rows[0][0][0].size
    step_x, step_y = width + 2, height + _CAPTION
    sheet = Image.new("RGB", (step_x * _COLUMNS, step_y * len(rows)), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, (picture, caption) in enumerate(row):
            sheet.paste(picture, (x * step_x, y * step_y + _CAPTION))
            draw.text((x * step_x + 2, y * step_y + 1), caption, (230, 230, 230))
    return sheet
