"""Pages with a heading, a title, axes and a note, drawn without a window.

Readable in black and white and without telling red from green: one hue for bars, one map whose
lightness rises evenly for shares.
"""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

DPI = 150
BAR, INK, FAINT = "#0072B2", "#000000", "#555555"
"""Blue of Okabe and Ito's palette, black, grey."""
SHARES = "cividis_r"
"""Map of shares from 0 (light) to 1 (dark), made for the colour-blind (Nunez et al. 2018)."""
SMALL, NORMAL, LARGE = 7.0, 8.0, 11.0
"""Sizes of letters, points; nothing is smaller."""

_FAMILY = "DejaVu Sans"
"""Comes with matplotlib: pages look the same everywhere."""
_MARGIN = 0.2
_LINE = 0.17


def text_style(size: float = SMALL, colour: str = INK) -> dict[str, Any]:
    """How text is set: names are plain, whatever `$` or `_` is in them."""
    plain = {"parse_math": False, "usetex": False, "family": _FAMILY}
    return plain | {"fontsize": size, "color": colour}


def width(text: str, size: float = SMALL) -> float:
    """Inches that a line takes in letters of a size."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family=_FAMILY, size=size)
    return float(_ruler().get_text_width_height_descent(text, font, ismath=False)[0]) / DPI


def shortened(text: str, inches: float, size: float = SMALL) -> str:
    """The text, its middle left out where it is wider: names differ at both ends."""
    short, kept = text, len(text)
    while width(short, size) > inches and kept > 1:
        kept -= 1
        end = kept // 2
        short = f"{text[: kept - end]}…{text[len(text) - end :]}"
    return short


def wrapped(text: str, inches: float, size: float) -> list[str]:
    """Lines of whole words, none wider unless a word is."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}", size) <= inches:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def drawable(text: str) -> bool:
    """Whether the font has every character of it."""
    return all(ord(character) in _characters() for character in text)


class Page:
    """A page of which the body is filled with axes. Places and sizes are in inches, from the
    body's upper left corner.

    Args:
        heading: what is to be seen.
        title: of which run.
        size: width and height of the body.
        notes: sentences below it: what the page leaves out, how it is read.
    """

    def __init__(
        self, heading: str, title: str, size: tuple[float, float], notes: Sequence[str] = ()
    ) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        above = wrapped(title, size[0], NORMAL)
        below = wrapped(" ".join(notes), size[0], NORMAL)
        self._top = _MARGIN + 0.3 + _LINE * len(above) + 0.1
        self._width = size[0] + 2 * _MARGIN
        self._height = self._top + size[1] + 0.1 + _LINE * len(below) + _MARGIN
        self._figure = Figure((self._width, self._height), dpi=DPI, facecolor="white")
        self._canvas: Any = FigureCanvasAgg(self._figure)
        self.text(0, 0.2 + _MARGIN - self._top, heading, LARGE)
        for number, line in enumerate(above):
            self.text(0, 0.3 + _MARGIN - self._top + _LINE * (number + 0.75), line, NORMAL)
        for number, line in enumerate(below):
            self.text(0, size[1] + 0.1 + _LINE * (number + 0.75), line, NORMAL, FAINT)

    def text(
        self, left: float, base: float, text: str, size: float = SMALL, colour: str = INK
    ) -> None:
        """A line of text on the base line `base`."""
        x, y = (_MARGIN + left) / self._width, 1 - (self._top + base) / self._height
        self._figure.text(x, y, text, **text_style(size, colour))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes without a frame."""
        place = (
            (_MARGIN + left) / self._width,
            1 - (self._top + top + height) / self._height,
            width / self._width,
            height / self._height,
        )
        axes = self._figure.add_axes(place)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=2, labelsize=SMALL, labelfontfamily=_FAMILY)
        return axes

    def picture(self, pixels: np.ndarray[Any, Any], left: float, top: float, side: float) -> None:
        """An image (H,W,3) uint8 in a square, its shape kept; where it has fewer pixels than the
        square they are seen as they are."""
        axes = self.axes(left, top, side, side)
        enough = max(pixels.shape[:2]) >= side * DPI
        axes.imshow(pixels, interpolation="hanning" if enough else "nearest")
        axes.set_axis_off()

    def pixel(self, left: float, top: float) -> tuple[int, int]:
        """The pixel of `image` at a place: its column and line."""
        return round((_MARGIN + left) * DPI), round((self._top + top) * DPI)

    def image(self) -> Image.Image:
        """The page, RGB."""
        self._canvas.draw()
        pixels = np.asarray(self._canvas.buffer_rgba())[..., :3]
        return Image.fromarray(np.ascontiguousarray(pixels))

    def svg(self) -> bytes:
        """The page as SVG, letters as outlines: it looks the same everywhere and has the same bytes
        whenever it is drawn."""
        from matplotlib import rc_context

        buffer = io.BytesIO()
        with rc_context({"svg.hashsalt": "page", "svg.fonttype": "path"}):
            self._figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        return buffer.getvalue()


@cache
def font(size: float = SMALL) -> Any:
    """The pages' letters for Pillow, of a size in points."""
    from matplotlib.font_manager import findfont

    return ImageFont.truetype(findfont(_FAMILY), round(size * DPI / 72))


@cache
def _ruler() -> Any:
    from matplotlib.backends import backend_agg

    # Without types: only what is passed on as `Any` may be called.
    untyped: Any = backend_agg
    return untyped.RendererAgg(1, 1, DPI)


@cache
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(_FAMILY)).get_charmap())
