"""Which part of an image is hidden: SimMIM's and MAE's random masks, on a grid of units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.pretraining.recipe import MaskRecipe

Grid = tuple[int, int]

_EVALUATION_TAG = 0x6D61736B


class RandomMasking(NamedTuple):
    """MAE's choice among L units (He et al. 2022, section 3).

    Attributes:
        kept: (K,) int64, the visible units, least noise first.
        hidden: (L,) bool, True where removed.
        restore: (L,) int64, the place of each unit in the order of the noise.
    """

    kept: NDArray[np.int64]
    hidden: NDArray[np.bool_]
    restore: NDArray[np.int64]


def simmim(grid: Grid, ratio: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Hide ceil(n x ratio) of the n units of `grid` (rows, columns), uniformly; True = hidden.

    Xie et al. 2022, section 3.2: 30 of 49 units at a ratio of 0.6.
    """
    units = grid[0] * grid[1]
    hidden = np.zeros(units, dtype=bool)
    hidden[rng.permutation(units)[: math.ceil(units * ratio)]] = True
    return hidden.reshape(grid)


def mae(grid: Grid, ratio: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Keep int(n x (1 - ratio)) of the n units of `grid`, uniformly; True = hidden."""
    noise = rng.random(grid[0] * grid[1])
    return random_masking(noise, ratio).hidden.reshape(grid)


def random_masking(noise: NDArray[np.floating], ratio: float) -> RandomMasking:
    """Keep the int(L x (1 - ratio)) units with the least of `noise` (L,); ties: the first ones."""
    order = np.argsort(noise, kind="stable")
    kept = order[: int(len(noise) * (1 - ratio))]
    hidden = np.ones(len(noise), dtype=bool)
    hidden[kept] = False
    return RandomMasking(kept, hidden, np.argsort(order, kind="stable"))


def draw(
    recipe: MaskRecipe, input_size: Grid, patch: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """A mask in the patches of the encoder, (H/patch, W/patch), True = hidden."""
    grid = (input_size[0] // recipe.unit, input_size[1] // recipe.unit)
    rule = {"simmim": simmim, "mae": mae}[recipe.name]
    repeat = recipe.unit // patch
    return rule(grid, recipe.ratio, rng).repeat(repeat, axis=0).repeat(repeat, axis=1)


def fixed_generator(index: int) -> np.random.Generator:
    """The generator behind the mask of evaluation sample `index`: the same in every run."""
    return np.random.default_rng((_EVALUATION_TAG, index))
