"""Predicted boxes beside the true ones."""

from __future__ import annotations

from math import isnan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contract import Gallery
from tasks.figures import BAR, DPI, FAINT, NORMAL, Page, shortened, text_style
from tasks.rows import in_order
from tasks.tracking.followed import Followed, followed
from tasks.tracking.views import FOUND, TRUE, Mark, view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from PIL.Image import Image

    from tasks.contract import Row

SEQUENCES, FRAMES = 4, 6
"""On a sheet; frames of each."""
SIDE = 1.3
"""Inches of a square frame's sides; the area of others is the same."""
BOXES = "Yellow, dashed: truth; red: prediction."

_GAP, _LINE, _ABOVE, _BETWEEN = 0.08, 0.15, 0.22, 0.12
_CURVE = 1.7
_NOTE = (
    f"{BOXES} Overlap: intersection over union of the two, of frame 1 given. Right: overlap over "
    "the frames, dots where they are shown; grey: no truth, or the target is absent."
)


def draw(rows: list[Row], dataset: Any) -> Image:
    """The first sequences: some frames of each, and its overlap over time.

    Raises:
        DataError: rows that do not fit their sequences, or frames that cannot be read.
    """
    first = sorted(rows, key=lambda row: int(row["sample"]))[:SEQUENCES]
    chosen = [followed(row, dataset) for row in first]
    note = f"{len(chosen)} of {len(dataset.sequences)} sequences."
    return sheet(chosen, "Tracking", dataset.info.name, [note])


def pictures(rows: list[Row], dataset: Any, title: str) -> Gallery:
    """The sequences with the largest, the middle and the least mean overlap; success and precision
    plot; a table of all sequences, the least mean overlap first. Sequences without truth beyond the
    first frame are in the table alone; where there are no others the first ones are shown.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks, or frames
            that cannot be read.
    """
    from tasks.tracking.plots import plots

    found = [followed(row, dataset) for row in in_order(rows, len(dataset.sequences))]
    known = sorted((each for each in found if each.counted), key=lambda each: each.mean)
    unknown = [each for each in found if not each.counted]
    table = {"sequences": [_line(each) for each in known + unknown]}
    if not known:
        note = "no sequence has truth beyond its first frame: nothing can be scored"
        return Gallery({"samples": draw(rows, dataset)}, table, (note,))
    middle = max(0, (len(known) - SEQUENCES) // 2)
    images = {}
    for stem, heading, chosen in (
        ("best", "Sequences with the largest mean overlap", known[::-1]),
        ("median", "Sequences with a middle mean overlap", known[middle:]),
        ("worst", "Sequences with the least mean overlap", known),
    ):
        shown = chosen[:SEQUENCES]
        said = f"{len(shown)} of {len(known)} sequences; all are in sequences.csv."
        images[stem] = sheet(shown, heading, title, [said])
    if not unknown:
        images |= plots({title.partition(":")[0]: [rows]}, dataset)
    said = f"{len(unknown)} of {len(found)} sequences have no truth: they are in the table alone"
    return Gallery(images, table, (said,) if unknown else ())


def _line(found: Followed) -> dict[str, Any]:
    """Of the table; None where there is no figure."""
    overlap = found.overlaps[1:][np.isfinite(found.overlaps[1:])]
    return {
        "sample": found.sample,
        "sequence": found.sequence.name,
        "frames": len(found),
        "counted": found.counted,
        "mean_overlap": None if isnan(found.mean) else found.mean,
        "above_half": float((overlap > 0.5).mean()) if len(overlap) else None,
        "attributes": " ".join(name.replace(" ", "_") for name in found.sequence.attributes),
    }


def sheet(chosen: list[Followed], heading: str, title: str, notes: list[str]) -> Image:
    """A line a sequence: frames evenly over its time, then its overlap."""
    images = [[each.sequence.frames.read(k) for k in spread(len(each), FRAMES)] for each in chosen]
    height, width = extent([image for line in images for image in line])
    down = _ABOVE + height + _LINE + _BETWEEN
    size = (FRAMES * (width + _GAP) + 0.4 + _CURVE, len(chosen) * down - _BETWEEN)
    page = Page(heading, title, size, [*notes, _NOTE])
    views = []
    for line, (each, read) in enumerate(zip(chosen, images, strict=True)):
        top = line * down
        page.text(0, top + 0.14, shortened(about(each), size[0], NORMAL), NORMAL)
        shown = spread(len(each), FRAMES)
        for column, (frame, image) in enumerate(zip(shown, read, strict=True)):
            left = column * (width + _GAP)
            canvas = view(image, boxes(each, frame), round(height * DPI), round(width * DPI))
            views.append((canvas, page.pixel(left, top + _ABOVE)))
            page.text(left, top + _ABOVE + height + 0.12, words(each, frame))
        left = FRAMES * (width + _GAP) + 0.4
        curve(page.axes(left, top + _ABOVE, _CURVE, height - 0.1), each, shown)
    return pasted(page.image(), views)


def pasted(picture: Image, views: list[tuple[Image, tuple[int, int]]]) -> Image:
    """The picture with others on it, at their upper left corners."""
    for canvas, corner in views:
        picture.paste(canvas, corner)
    return picture


def extent(images: list[NDArray[np.uint8]]) -> tuple[float, float]:
    """Height and width in inches that images (H,W,3) are fitted into."""
    shape = sqrt(max(image.shape[0] / image.shape[1] for image in images))
    return SIDE * shape, SIDE / shape


def about(found: Followed) -> str:
    """Of which sequence a picture is."""
    mean = "no truth" if isnan(found.mean) else f"mean overlap {found.mean:.3f}"
    counted = "" if found.counted == len(found) - 1 else f", {found.counted} counted"
    return f"{found.sequence.name}: {len(found)} frames{counted}, {mean}"


def words(found: Followed, frame: int) -> str:
    """Below a frame: its number from 1, and the overlap."""
    overlap = found.overlaps[frame]
    said = "given" if frame == 0 else "no truth" if isnan(overlap) else f"overlap {overlap:.2f}"
    return f"{frame + 1}: {said}"


def boxes(found: Followed, frame: int) -> list[Mark]:
    """The true and the predicted box of a frame, in pixels of the image."""
    true = Mark(found.sequence.boxes[frame], TRUE, dashed=True)
    return [Mark(found.boxes[frame], FOUND), true]


def spread(count: int, most: int) -> list[int]:
    """At most so many of `count` frames, evenly from the first to the last."""
    return [round(place) for place in np.linspace(0, count - 1, min(count, most)).tolist()]


def curve(axes: Axes, found: Followed, shown: list[int]) -> None:
    """Overlap over the frames from 1, with dots at those shown."""
    numbers = np.arange(1, len(found) + 1)
    axes.plot(numbers, found.overlaps, "-", color=BAR, linewidth=1.2, clip_on=False)
    dots = [frame for frame in shown if np.isfinite(found.overlaps[frame])]
    axes.plot(numbers[dots], found.overlaps[dots], "o", color=BAR, markersize=3, clip_on=False)
    for frame in np.flatnonzero(np.isnan(found.overlaps)):
        axes.axvspan(frame + 0.5, frame + 1.5, color="#DDDDDD", linewidth=0)
    axes.set_xlim(1, max(2, len(found)))
    axes.set_ylim(0, 1)
    axes.set_xticks([1, len(found)] if len(found) > 1 else [1])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["left", "bottom"]].set_visible(True)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.set_ylabel("overlap", **text_style())
