"""Numbers, names and links as Markdown has them."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log10
from pathlib import Path


def with_error(value: float, error: float | None) -> str:
    """Two digits of the error, and the value to the same place."""
    if error is None or not isfinite(value):
        return f"{value:.3g}"
    places = min(6, max(0, 1 - floor(log10(error)))) if error > 0 else 3
    return f"{value:.{places}f} ± {error:.{places}f}"


def code(name: str) -> str:
    """A name that Markdown leaves alone, in a table too."""
    return "`" + name.replace("`", "'").replace("|", "¦").replace("\n", " ") + "`"


def of_stem(figures: Sequence[Path], stem: str) -> list[Path]:
    """The files of a figure and its further pages."""
    pages = [stem, *(f"{stem}-{n}" for n in range(2, len(figures) + 2))]
    return [path for path in figures if path.stem in pages]


def links(figures: Sequence[Path], stem: str) -> str:
    """A sentence with links to a figure; empty where there is none."""
    found = of_stem(figures, stem)
    return f"Figure: {linked(found)}." if found else ""


def linked(paths: Sequence[Path]) -> str:
    """Links to files that lie beside the page."""
    return ", ".join(f"[{path.name}]({path.name})" for path in paths)
