"""What in a depth recipe follows from the stride of an encoder's last map.

MIM-Depth-Estimation's head doubles a map of stride 32 five times: three deconvolutions, then two
bilinear steps. A finer map needs fewer deconvolutions for depth to come out at the input's size.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any

from tasks.contract import RecipeError

if TYPE_CHECKING:
    from backbones import Backbone
    from tasks.depth.recipe import DepthRecipe

Size = tuple[int, int]

BILINEAR = 2
"""Doublings after the deconvolutions."""


def fit(recipe: DepthRecipe, backbone: Backbone) -> tuple[DepthRecipe, tuple[str, ...]]:
    """The recipe with what follows from the encoder, and what that is in words.

    The head `deconvolution` gets as many deconvolutions as bring the map to the input's size: the
    first of `head.filters`, the last one repeated where there are too few. A stride that is no
    power of two divides none of the usual sizes: the input then goes to the nearest multiple, and
    the test images with it.

    Raises:
        RecipeError: test images that the windows do not fit into.
    """
    stride = backbone.feature_info[-1].stride
    sized, notes = _rounded(_reaching(recipe), stride)
    _require_windows(sized)
    if recipe.head.type != "deconvolution":
        return sized, notes
    filters = _filters(recipe.head.filters, doublings(stride) - BILINEAR)
    if filters == sized.head.filters:
        return sized, notes
    head = sized.head.model_copy(update={"filters": filters})
    note = (
        f"head: {len(filters)} deconvolutions {list(filters)}, since the map's stride is {stride}"
    )
    return sized.model_copy(update={"head": head}), (*notes, note)


def _reaching(recipe: DepthRecipe) -> DepthRecipe:
    """With the network's range written out: another one may be measured later."""
    head = recipe.head.model_copy(update={"reach": recipe.reach})
    return recipe.model_copy(update={"head": head})


def doublings(stride: int) -> int:
    """How often a map is to be doubled until a cell is about a pixel."""
    return max(0, round(log2(stride)))


def _filters(listed: tuple[int, ...], count: int) -> tuple[int, ...]:
    if count <= 0 or not listed:
        return ()
    return (listed + listed[-1:] * count)[:count]


def _rounded(recipe: DepthRecipe, stride: int) -> tuple[DepthRecipe, tuple[str, ...]]:
    size, test = recipe.backbone.input_size, recipe.test.size
    rounded = _multiple(size, stride)
    if stride.bit_count() == 1 or rounded == size:
        return recipe, ()
    encoder = recipe.backbone.model_copy(update={"input_size": rounded})
    update: dict[str, Any] = {"backbone": encoder}
    if test is not None:
        scaled = rounded if test == size else (rounded[0], round(test[1] * rounded[0] / test[0]))
        update |= {"test": recipe.test.model_copy(update={"size": scaled})}
    note = (
        f"input {rounded[0]}x{rounded[1]} in place of {size[0]}x{size[1]}, "
        f"since the map's stride is {stride}"
    )
    return recipe.model_copy(update=update), (note,)


def _multiple(size: Size, stride: int) -> Size:
    rows, columns = (max(1, round(side / stride)) * stride for side in size)
    return rows, columns


def _require_windows(recipe: DepthRecipe) -> None:
    size, test, count = recipe.backbone.input_size, recipe.test.size, recipe.test.windows
    if test is None or test == size:
        if count > 1:
            raise RecipeError(
                f"test.windows is {count}, but the test images are no wider than the input "
                f"({size[0]}x{size[1]}): give test.size, or 1 window"
            )
        return
    square = size[0] == size[1] == test[0]
    if not square or test[1] < test[0] or count < 2:
        raise RecipeError(
            f"test images of {test[0]}x{test[1]} do not go into an encoder for "
            f"{size[0]}x{size[1]}: leave test.size out, or give square inputs of the same height "
            "and test.windows of 2 or more"
        )
