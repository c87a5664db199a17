"""What in a pose recipe follows from the stride of an encoder's last map.

Maps of stride 16 get two deconvolutions and heat maps of a quarter of the input, as in ViTPose;
maps of stride 32 three, as in mmpose's configurations of Swin. The rule that leads there, and on to
other strides: as many doublings as bring the map next to the recipe's heat maps.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

from tasks.contract import RecipeError

if TYPE_CHECKING:
    from tasks.pose.recipe import PoseRecipe

Size = tuple[int, int]


def fit(recipe: PoseRecipe, stride: int) -> tuple[PoseRecipe, tuple[str, ...]]:
    """The recipe with what follows from `stride` (input pixels a cell), and what that is in words.

    Deconvolutions that are listed are taken as they are, and have to lead to `codec.heatmap_size`.
    Of those that are not, 2^n is next to stride x heat map / input. A stride that is no power of
    two divides none of the usual sizes: the input then goes to the nearest multiple, and the heat
    maps have the size that the doublings give.

    Raises:
        RecipeError: the input is no multiple of the stride, or the heat maps are not those that
            the head gives.
    """
    head, size = recipe.head, recipe.backbone.input_size
    if head.deconv_channels is not None and head.type == "deconvolution":
        _require_multiple(size, stride)
        _require_maps(recipe, stride, len(head.deconv_channels))
        return recipe, ()
    doublings = max(0, round(log2(stride * recipe.codec.heatmap_size[0] / size[0])))
    usual = stride.bit_count() == 1
    rounded = size if usual else _multiple(size, stride)
    _require_multiple(rounded, stride)
    if usual and stride * recipe.codec.heatmap_size[0] >= size[0]:
        _require_maps(recipe, stride, doublings)
    maps = _maps(rounded, stride, doublings)
    fitted = recipe.model_copy(
        update={
            "backbone": recipe.backbone.model_copy(update={"input_size": rounded}),
            "codec": recipe.codec.model_copy(update={"heatmap_size": maps}),
            "head": head.with_deconvolutions(doublings if head.type == "deconvolution" else 0),
        }
    )
    return fitted, (*_rounding(size, rounded, stride), _head(recipe, stride, doublings, maps))


def _maps(size: Size, stride: int, doublings: int) -> Size:
    return size[0] // stride * 2**doublings, size[1] // stride * 2**doublings


def _multiple(size: Size, stride: int) -> Size:
    rows, columns = (max(1, round(side / stride)) * stride for side in size)
    return rows, columns


def _rounding(size: Size, rounded: Size, stride: int) -> tuple[str, ...]:
    if rounded == size:
        return ()
    return (
        f"input {rounded[0]}x{rounded[1]} in place of {size[0]}x{size[1]}, "
        f"since the map's stride is {stride}",
    )


def _head(recipe: PoseRecipe, stride: int, doublings: int, maps: Size) -> str:
    head = recipe.head
    made = f"{doublings} deconvolutions of {head.channels}, kernel {head.kernel},"
    if head.type == "simple":
        made = f"bilinear x{2**doublings}"
    return f"head: {made} to maps of {maps[0]}x{maps[1]}, since the map's stride is {stride}"


def _require_multiple(size: Size, stride: int) -> None:
    if any(side % stride for side in size):
        raise RecipeError(
            f"pose needs an input size in multiples of the encoder's stride {stride}, "
            f"backbone.input_size is {size}"
        )


def _require_maps(recipe: PoseRecipe, stride: int, doublings: int) -> None:
    given = _maps(recipe.backbone.input_size, stride, doublings)
    if given != recipe.codec.heatmap_size:
        raise RecipeError(
            f"the head gives maps of {given[0]}x{given[1]} (input {recipe.backbone.input_size}, "
            f"stride {stride}, {doublings} doublings), codec.heatmap_size is "
            f"{recipe.codec.heatmap_size}: make that [{given[0]},{given[1]}], or give "
            "head.deconv_channels and head.deconv_kernels another number of entries, each of "
            "which doubles the map"
        )
