"""The Fourier profile of each block's map: how much of what changes within it changes fast.

Park et al. 2023 (2305.00729), section 3, as their public code computes it: the logarithm of the
amplitude before the mean over images and channels, along the half diagonal from the zero frequency,
relative to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from harness.analysis.grids import Grid, tokens
from harness.analysis.rows import Found, Row, row
from harness.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backbones import Backbone
    from harness.analysis.images import Images
    from harness.console import Advance

EPS = 1e-6
"""Added to an amplitude before its logarithm."""


@torch.no_grad()
def measure(
    backbone: Backbone,
    images: Images,
    *,
    batch_size: int,
    device: torch.device | str,
    advance: Advance,
) -> Found:
    """The spectrum of the map of patch tokens after every block.

    Rows: `spectrum.amplitude`, one a block and frequency, and `spectrum.high_frequency`, the
    profile at its highest frequency, one a block; natural logarithms relative to frequency 0. A
    block whose map has fewer than 3 cells on a side has none. By image: `spectrum.high_frequency`.

    Args:
        backbone: on `device`, in evaluation mode.
        images: of its input size.
        batch_size: at a time through the encoder; changes nothing but rounding.
        device: where it runs.
        advance: told the number of images after each batch.

    Raises:
        UserError: an encoder that does not give its blocks, or maps too small for a spectrum.
        DataError: an image that cannot be read.
    """
    found: list[list[NDArray[np.float64]]] = []
    grids: list[Grid] = []
    for start in range(0, len(images), batch_size):
        batch = images.batch(start, min(start + batch_size, len(images))).to(device)
        layers = tokens(backbone, batch)
        grids = [grid for _, grid in layers]
        found.append([_of_tokens(*layer) for layer in layers])
        advance(len(batch))
    profiles = [np.concatenate(each) for each in zip(*found, strict=True)]
    if not any(profile.shape[1] > 1 for profile in profiles):
        raise UserError(
            f"the maps of {backbone.spec.name} are too small for a spectrum: give --input-size"
        )
    rows = [r for i, each in enumerate(profiles) for r in _rows(each, i, grids[i])]
    highest = np.stack(
        [each[:, -1] if each.shape[1] > 1 else np.full(len(each), np.nan) for each in profiles], 1
    )
    return Found(tuple(rows), {"spectrum.high_frequency": highest})


def log_amplitudes(maps: Tensor) -> Tensor:
    """The logarithm of the amplitudes of maps (B,C,h,w), the mean over channels (B,h,w), float64,
    zero frequency first."""
    amplitudes: Tensor = torch.fft.fft2(maps.double()).abs()
    return (amplitudes + EPS).log().mean(dim=1)


def profile(amplitudes: Tensor) -> Tensor:
    """The half diagonal of log amplitudes (B,h,w) relative to its first entry: (B,F), F half of the
    shorter side g, rounded up; entry k is of frequency 2k/g as a share of pi. Of an even side the
    highest frequency is left out, as in the public code.

    In a map that is not square both axes have the same frequency at each entry, between two of the
    longer axis by linear interpolation; the public code refuses such maps, or takes them for square
    ones of as many cells.
    """
    height, width = amplitudes.shape[1:]
    side = min(height, width)
    steps = torch.arange((side + 1) // 2, dtype=torch.float64, device=amplitudes.device)
    along = _at(_at(amplitudes, steps * (height / side), 1), steps * (width / side), 2)
    diagonal = along.diagonal(dim1=1, dim2=2)
    return diagonal - diagonal[:, :1]


def _at(values: Tensor, places: Tensor, dim: int) -> Tensor:
    """Values at places between those of an axis, by linear interpolation."""
    low = places.floor().long()
    shape = [1, 1, 1]
    shape[dim] = -1
    share = (places - low).view(shape)
    high = (low + 1) % values.shape[dim]
    return values.index_select(dim, low) * (1 - share) + values.index_select(dim, high) * share


def _of_tokens(values: Tensor, grid: Grid) -> NDArray[np.float64]:
    maps = values.transpose(1, 2).reshape(len(values), -1, grid.rows, grid.columns)
    found: NDArray[np.float64] = profile(log_amplitudes(maps)).cpu().numpy()
    return found


def _rows(profiles: NDArray[np.float64], block: int, grid: Grid) -> Sequence[Row]:
    n, count = profiles.shape
    if count < 2:
        return []
    values = profiles.mean(axis=0)
    errors = profiles.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else [None] * count
    side = min(grid.rows, grid.columns)
    rows = [
        row(
            "spectrum.amplitude",
            float(value),
            n,
            error=None if error is None else float(error),
            block=block,
            stage=grid.stage,
            frequency=2 * k / side,
        )
        for k, (value, error) in enumerate(zip(values, errors, strict=True))
    ]
    return [*rows, rows[-1]._replace(measure="spectrum.high_frequency", frequency=None)]
