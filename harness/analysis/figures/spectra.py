"""Fourier profiles: a panel an encoder, a line a block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.captions import CAPTIONS
from harness.analysis.figures.sheet import (
    LINES,
    WITH_BAR,
    Size,
    depth_bar,
    framed,
    half_widths,
    image_numbers,
    limits,
    sheets,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.analysis.figures.sheet import Sheet
    from harness.analysis.inspected import Inspected, Spectrum

_MEASURE = "spectrum.amplitude"
_DASHED = 24
"""Blocks up to which neighbours have other dashes: more lines would be a pattern of dashes."""


def draw(inspected: Sequence[Inspected]) -> list[Sheet]:
    """One height for all panels; none if there are no rows."""
    every = [(one.name, one.spectra(_MEASURE)) for one in inspected]
    shown = [(name, spectra) for name, spectra in every if spectra]
    if not shown:
        return []
    values = np.concatenate([each.values for _, spectra in shown for each in spectra])
    finite = values[np.isfinite(values)]
    low, high = limits(float(finite.min(initial=0)), float(finite.max(initial=0)), zero=False)
    caption = CAPTIONS[_MEASURE]
    dashed = max(len(spectra) for _, spectra in shown) <= _DASHED
    missing = len(values) - len(finite)
    notes = [
        caption.note,
        "Lines: blocks; the lighter, the earlier. Bands: 95 % intervals over images.",
        image_numbers(int(n) for _, spectra in shown for each in spectra for n in each.n),
        *(["Dashes change from one to the next."] if dashed else []),
        *([f"Not drawn, as they are not finite: {missing} values."] if missing else []),
    ]
    axis = ("frequency, shares of π", caption.axis)
    size = Size(2.4, 2.1, 2, WITH_BAR) if len(shown) > 1 else Size(3.9, 2.4, 1, WITH_BAR)
    found = sheets(caption.heading, [name for name, _ in shown], size, axis, notes)
    for sheet in found:
        for panel in sheet.panels:
            _panel(panel.axes, shown[panel.number][1], LINES if dashed else LINES[:1])
            panel.axes.set_ylim(low, high)
    return found


def _panel(axes: Axes, spectra: Sequence[Spectrum], styles: Sequence[str]) -> None:
    framed(axes)
    colours = depth_bar(axes, spectra[0].block, spectra[-1].block)
    shades = colours.to_rgba(np.array([each.block for each in spectra]))
    for place, each in enumerate(spectra):
        dashes, colour = styles[place % len(styles)], tuple(shades[place].tolist())
        half = np.nan_to_num(half_widths(each))
        band = (each.values - half, each.values + half)
        axes.fill_between(each.frequencies, *band, color=colour, alpha=0.25, linewidth=0)
        axes.plot(each.frequencies, each.values, dashes, color=colour, linewidth=1.0)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
