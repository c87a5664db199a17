"""Attention maps over an image: a page to explore, and a picture of chosen heads."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.attention_maps import Maps, Panel, edges
from harness.errors import UserError
from tasks.figures import INK, NORMAL, Page, shortened, text_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from PIL.Image import Image

STEPS = (254, 126, 62, 30, 14, 6)
"""Into how many steps a weight is rounded, relative to the greatest of its query: the finest with
which the page is small enough, or the last."""
NOTHING = 255
"""Stands for a key that a query may not attend to, or that has no place."""
COLOURS = "cividis"
"""Map of weights, dark to light, made for the colour-blind (Nunez et al. 2018)."""
_MOST = 100_000_000


def write(path: Path, panels: Sequence[Panel], limit: int = 2_000_000) -> None:
    """Write one HTML file that needs nothing else: pointing at a patch shows where it attends to.

    Args:
        panels: encoders, images or both.
        limit: bytes that the file is kept below as long as STEPS allow.

    Raises:
        UserError: no panel or no block to show, or more weights than a browser can hold.
        OSError: naming the file that cannot be written.
    """
    from results.files import write_text

    if not panels or not all(panel.maps for panel in panels):
        raise UserError("no attention maps to show; choose at least one block of each encoder")
    total = sum(maps.weights.size for panel in panels for maps in panel.maps)
    if total > _MOST:
        raise UserError(
            f"{total / 1e6:.0f} million attention weights are more than a page can hold "
            f"({_MOST / 1e6:.0f} million); choose fewer blocks or heads, or a smaller input size"
        )
    for steps in STEPS:
        text = _document(panels, steps)
        if len(text.encode()) <= limit:
            break
    write_text(path, text)


def quantised(maps: Maps, steps: int) -> NDArray[np.uint8]:
    """(W,N,Q,K): weights relative to the greatest of their query, 0 to `steps`; NOTHING for keys
    that a picture does not have."""
    peaks = maps.peaks()[..., None]
    shares = np.divide(maps.weights, peaks, out=np.zeros_like(maps.weights), where=peaks > 0)
    seen = np.broadcast_to(maps.seen()[:, None], shares.shape)
    return np.where(seen, np.rint(np.where(seen, shares, 0) * steps), NOTHING).astype(np.uint8)


def grid(panel: Panel, query: tuple[float, float], chosen: Sequence[tuple[int, int]]) -> Image:
    """The maps of chosen heads for one query, side by side.

    Args:
        query: x and y in input pixels; in each block the nearest query is shown, and marked.
        chosen: pairs of block and head.

    Raises:
        UserError: a place outside of the image, a block or head that the panel does not have.
    """
    height, width = panel.image.shape[:2]
    if not (0 <= query[0] < width and 0 <= query[1] < height):
        raise UserError(f"the query ({query[0]:g}, {query[1]:g}) is not in {width} x {height} px")
    blocks = {maps.block: maps for maps in panel.maps}
    for block, head in chosen:
        if block not in blocks or head not in blocks[block].heads:
            raise UserError(f"no map of block {block}, head {head} in the panel of {panel.name}")
    columns = min(4, len(chosen) + 1)
    side, gap, line = 1.5, 0.15, 0.36
    down = side * height / width + line
    rows = -(-(len(chosen) + 1) // columns)
    title = shortened(f"{panel.name}, query at x {query[0]:g}, y {query[1]:g} px", 6.4, NORMAL)
    notes = (
        "Light: the greatest weight of this query in this map, which is given; dark: 0.",
        "Hatched: patches that it may not attend to. Framed: the query.",
    )
    page = Page("Attention maps", title, (max(columns * (side + gap), 3.2), rows * down), notes)
    for number in range(len(chosen) + 1):
        left, top = number % columns * (side + gap), number // columns * down + line - 0.05
        axes = page.axes(left, top, side, side * height / width)
        if number == 0:
            _image(axes, panel.image)
            axes.set_title("image", loc="left", **text_style())
            _mark(axes, panel, panel.maps[0], query)
            continue
        block, head = chosen[number - 1]
        _map(axes, panel, blocks[block], head, query)
    return page.image()


def _image(axes: Axes, image: NDArray[np.uint8]) -> None:
    height, width = image.shape[:2]
    axes.imshow(image, extent=(0, width, height, 0), interpolation="nearest")
    axes.set_axis_off()


def _map(axes: Axes, panel: Panel, maps: Maps, head: int, query: tuple[float, float]) -> None:
    from matplotlib.collections import PolyCollection

    height, width = panel.image.shape[:2]
    _image(axes, panel.image.mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8))
    found, keys = maps.map_of(head, *query), maps.key_lattice()
    peak = float(np.nanmax(found, initial=0))
    xs, ys = edges(keys.xs, width), edges(keys.ys, height)
    shown = np.ma.masked_invalid(found)
    axes.pcolormesh(xs, ys, shown, cmap=COLOURS, vmin=0, vmax=peak or 1, alpha=0.75, linewidth=0)
    absent = [
        [(xs[c], ys[r]), (xs[c + 1], ys[r]), (xs[c + 1], ys[r + 1]), (xs[c], ys[r + 1])]
        for r, c in zip(*np.nonzero(np.isnan(found)), strict=True)
    ]
    white = (1, 1, 1, 0.6)
    hatched = PolyCollection(absent, hatch="////", facecolor=white, edgecolor=INK, linewidth=0)
    axes.add_collection(hatched)
    window, number = maps.query_at(*query)
    prefix = maps.prefix_mass()[window, maps.heads.index(head), number]
    words = f"greatest {peak:.3g}" + (f", prefix {prefix:.2f}" if maps.prefix else "")
    axes.set_title(f"block {maps.block}, head {head}\n{words}", loc="left", **text_style())
    _mark(axes, panel, maps, query)


def _mark(axes: Axes, panel: Panel, maps: Maps, query: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    height, width = panel.image.shape[:2]
    lattice = maps.query_lattice()
    cell = int(lattice.cells[maps.query_at(*query)])
    xs, ys = edges(lattice.xs, width), edges(lattice.ys, height)
    row, column = divmod(cell, len(lattice.xs))
    size = xs[column + 1] - xs[column], ys[row + 1] - ys[row]
    for colour, thick in ((INK, 2.6), ("white", 1.2)):
        frame = Rectangle((xs[column], ys[row]), *size, fill=False)
        frame.set(edgecolor=colour, linewidth=thick, zorder=4)
        axes.add_patch(frame)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _document(panels: Sequence[Panel], steps: int) -> str:
    from matplotlib import colormaps

    shades = np.rint(colormaps[COLOURS](np.linspace(0, 1, steps + 1))[:, :3] * 255).astype(int)
    data = {
        "steps": steps,
        "nothing": NOTHING,
        "shades": shades.tolist(),
        "panels": [_panel(panel, steps) for panel in panels],
    }
    # In a script element only "<" could end it.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    template = files("harness.analysis").joinpath("attention_page.html").read_text("utf-8")
    return template.replace("{{steps}}", str(steps + 1)).replace("{{data}}", text)


def _panel(panel: Panel, steps: int) -> dict[str, Any]:
    height, width = panel.image.shape[:2]
    return {
        "name": panel.name,
        "image": _data_url(panel.image),
        "width": width,
        "height": height,
        "blocks": [_block(maps, steps, (height, width)) for maps in panel.maps],
    }


def _block(maps: Maps, steps: int, size: tuple[int, int]) -> dict[str, Any]:
    queries, keys = maps.query_lattice(), maps.key_lattice()
    windows, _, query_number, key_number = maps.weights.shape
    return {
        "block": maps.block,
        "stage": maps.stage,
        "heads": maps.heads,
        "prefix": maps.prefix,
        "windows": windows,
        "queries": query_number,
        "keys": key_number,
        "queryX": edges(queries.xs, size[1]),
        "queryY": edges(queries.ys, size[0]),
        "keyX": edges(keys.xs, size[1]),
        "keyY": edges(keys.ys, size[0]),
        "queryCells": _packed(queries.cells.astype("<i4")),
        "keyCells": _packed(keys.cells.astype("<i4")),
        "weights": _packed(quantised(maps, steps)),
        "peaks": _packed(_rooted(maps.peaks())),
        "prefixMass": _packed(_rooted(maps.prefix_mass())),
    }


def _rooted(shares: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Shares in [0,1] in two bytes: of their roots, so that small ones keep their digits."""
    return np.asarray(np.rint(np.sqrt(shares.clip(0, 1)) * 65535).astype("<u2"))


def _packed(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode()


def _data_url(image: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
