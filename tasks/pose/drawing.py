"""Predictions beside the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tasks.pose.crop import matrix, region, with_shape

if TYPE_CHECKING:
    from tasks.contract import Row
    from tasks.pose.data import PoseDataset

SHOWN = 12
COLUMNS = 4
SIDE = 160
"""Height of a crop in the sheet."""

_MARGIN, _TITLE = 6, 14
_LEFT, _RIGHT, _MIDDLE = (255, 170, 40), (70, 160, 255), (120, 220, 90)


def draw(rows: list[Row], dataset: PoseDataset) -> Image.Image:
    """A sheet of the first people: on the left the prediction, on the right the annotation.

    Left joints are orange, right ones blue, the others green; faint where the score is below the
    recipe's threshold. Annotated joints that are not labelled are not drawn.
    """
    chosen = sorted(rows, key=lambda row: int(row["sample"]))[:SHOWN]
    height, width = dataset.recipe.backbone.input_size
    shape = (round(SIDE * width / height), SIDE)
    cell = (2 * shape[0] + 2 * _MARGIN, SIDE + _TITLE + _MARGIN)
    lines = max(1, -(-len(chosen) // COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * cell[0] + _MARGIN, lines * cell[1] + _MARGIN), "white")
    for number, row in enumerate(chosen):
        corner = (
            _MARGIN + number % COLUMNS * cell[0],
            _MARGIN + number // COLUMNS * cell[1],
        )
        _person(sheet, row, dataset, corner, shape)
    return sheet


def _person(
    sheet: Image.Image,
    row: Row,
    dataset: PoseDataset,
    corner: tuple[int, int],
    shape: tuple[int, int],
) -> None:
    index = int(row["sample"])
    recipe, samples = dataset.recipe, dataset.samples
    crop = Image.fromarray(dataset.item(index, None)["image"].transpose(1, 2, 0)).resize(shape)
    area = region(samples.boxes[index], recipe.padding)
    area = type(area)(area.center, with_shape(area.scale, recipe.backbone.input_size))
    affine = matrix(area, recipe.backbone.input_size, recipe.codec.type)
    affine = affine * (shape[1] / recipe.backbone.input_size[0])
    found = np.array(row["keypoints"], dtype=float).reshape(-1, 3)
    strong = found[:, 2] > recipe.test.joint_threshold
    pictures = (
        ("prediction", found[:, :2], np.ones(len(found), dtype=bool), strong),
        ("truth", samples.keypoints[index], samples.visible[index], samples.visible[index]),
    )
    for column, (title, points, shown, full) in enumerate(pictures):
        left = corner[0] + column * (shape[0] + 2)
        ImageDraw.Draw(sheet).text((left, corner[1]), title, fill="black")
        picture = crop.copy()
        _pose(picture, points @ affine[:, :2].T + affine[:, 2], shown, full, dataset)
        sheet.paste(picture, (left, corner[1] + _TITLE))


def _pose(
    picture: Image.Image,
    points: NDArray[np.float64],
    shown: NDArray[np.bool_],
    full: NDArray[np.bool_],
    dataset: PoseDataset,
) -> None:
    pen = ImageDraw.Draw(picture)
    for a, b in _limbs(dataset.skeleton.names):
        if shown[a] and shown[b]:
            pen.line([tuple(points[a]), tuple(points[b])], fill=(255, 255, 255), width=1)
    for joint, name in enumerate(dataset.skeleton.names):
        if not shown[joint]:
            continue
        colour = _LEFT if "left" in name else _RIGHT if "right" in name else _MIDDLE
        x, y = points[joint]
        radius = 3
        box = [x - radius, y - radius, x + radius, y + radius]
        pen.ellipse(box, fill=colour if full[joint] else None, outline=colour)


def _limbs(names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Pairs of joints to join by a line, those of the known limbs that the names have."""
    limbs = [
        (f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for a, b in (
            ("shoulder", "elbow"),
            ("elbow", "wrist"),
            ("shoulder", "hip"),
            ("hip", "knee"),
            ("knee", "ankle"),
        )
    ]
    limbs += [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")]
    return [(names.index(a), names.index(b)) for a, b in limbs if a in names and b in names]
