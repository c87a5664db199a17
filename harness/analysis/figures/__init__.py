"""Figures of an inspection, from its rows alone: the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.figures.sheet import Sheet
    from harness.analysis.inspected import Inspected


def draw(inspected: Sequence[Inspected], folder: Path) -> list[Path]:
    """Write everything that the rows hold as PNG and SVG in place of what is there of these names.

    Args:
        inspected: encoders in the order of their colours, and pairs of encoders.

    Returns:
        The files: of each figure its PNG, then its SVG. A measure without rows has none.

    Raises:
        OSError: naming the file that cannot be written.
    """
    from harness import png
    from results.files import write_bytes

    paths = []
    for stem, sheet in pages(inspected).items():
        paths.append(png.write(sheet.page.image(), folder / f"{stem}.png"))
        write_bytes(folder / f"{stem}.svg", sheet.page.svg())
        paths.append(folder / f"{stem}.svg")
    return paths


def pages(inspected: Sequence[Inspected]) -> dict[str, Sheet]:
    """File name without its ending -> page; a second page of a figure ends in `-2`."""
    from harness.analysis.captions import PAIRS
    from harness.analysis.figures import heads, lines, maps, offsets, spectra

    found: dict[str, list[Sheet]] = {}
    for measure in heads.MEASURES:
        found[_stem(measure)] = heads.draw(inspected, measure)
    found["attention-offsets"] = offsets.draw(inspected)
    for measure in PAIRS:
        found[_stem(measure)] = maps.draw(inspected, measure)
    found["spectrum-profile"] = spectra.draw(inspected)
    for stem, group in lines.GROUPS.items():
        found[stem] = lines.draw(inspected, group)
    return {
        stem if number == 0 else f"{stem}-{number + 1}": sheet
        for stem, several in found.items()
        for number, sheet in enumerate(several)
    }


def _stem(measure: str) -> str:
    return measure.replace(".", "-").replace("_", "-")
