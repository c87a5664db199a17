"""Heat maps: made in torch for a whole batch, decoded by mmpose.

The maps equal those of mmpose's UDPHeatmap and MSRAHeatmap (codecs/utils/gaussian_heatmap.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.pose.recipe import CodecRecipe


def stride(recipe: CodecRecipe, input_size: tuple[int, int]) -> tuple[float, float]:
    """Input pixels a map cell, along x and y: UDP measures between the centres of border pixels."""
    (height, width), (rows, columns) = input_size, recipe.heatmap_size
    if recipe.type == "udp":
        return (width - 1) / (columns - 1), (height - 1) / (rows - 1)
    return width / columns, height / rows


def encode(
    points: Tensor, visible: Tensor, recipe: CodecRecipe, input_size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Gaussians about the joints, cut off at 3 sigma.

    Args:
        points: (B, K, 2) joints in input pixels.
        visible: (B, K) 1 where labelled.
        recipe: the codec. input_size: height and width.

    Returns:
        Maps (B, K, rows, columns) in [0, 1], and weights (B, K): 0 where nothing is labelled or
        the Gaussian does not touch the map.
    """
    rows, columns = recipe.heatmap_size
    radius = int(3 * recipe.sigma)
    place = points / points.new_tensor(stride(recipe, input_size))
    cell = (place + 0.5).trunc()
    if recipe.type == "msra":
        place = cell
    extent = points.new_tensor([columns, rows])
    touches = ((cell - radius < extent) & (cell + radius + 1 >= 0)).all(dim=-1)
    # mmpose looks at labelled joints only, and leaves the weight of the others as it is.
    weights = torch.where(visible >= 0.5, visible * touches, visible)
    x = _profile(columns, place[..., 0], cell[..., 0], radius, recipe.sigma)
    y = _profile(rows, place[..., 1], cell[..., 1], radius, recipe.sigma)
    drawn = (touches & (visible >= 0.5)).to(points.dtype)
    return y[..., :, None] * x[..., None, :] * drawn[..., None, None], weights


def _profile(length: int, place: Tensor, cell: Tensor, radius: int, sigma: float) -> Tensor:
    cells = torch.arange(length, device=place.device, dtype=place.dtype)
    near = (cells - cell[..., None]).abs() <= radius
    return torch.exp(-((cells - place[..., None]) ** 2) / (2 * sigma**2)) * near


def decoder(recipe: CodecRecipe, input_size: tuple[int, int]) -> Any:
    """mmpose's codec for these maps, whose `decode` takes (K, rows, columns) float32."""
    from tasks import openmmlab

    sizes = (input_size[1], input_size[0]), (recipe.heatmap_size[1], recipe.heatmap_size[0])
    if recipe.type == "udp":
        module = openmmlab.load("mmpose.codecs.udp_heatmap")
        return module.UDPHeatmap(*sizes, sigma=recipe.sigma, blur_kernel_size=recipe.blur_kernel)
    return openmmlab.load("mmpose.codecs.msra_heatmap").MSRAHeatmap(*sizes, sigma=recipe.sigma)


def decode(codec: Any, maps: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Decode maps (B, K, rows, columns) to joints (B, K, 2) in the codec's crop pixels, and their
    scores (B, K).

    Where mmpose fails, so that any network can be scored: a map that is 0 or less everywhere has
    no maximum, its joint is the middle of the crop with score 0; a maximum whose surroundings
    are flat is not refined.
    """
    width, height = codec.input_size
    points = np.empty((*maps.shape[:2], 2))
    scores = np.empty(maps.shape[:2])
    flat = maps.max(axis=(2, 3)) <= 0
    for number, stack in enumerate(maps):
        some = np.where(flat[number][:, None, None], 1.0, stack).astype(np.float32)
        try:
            found, score = codec.decode(some)
        except np.linalg.LinAlgError:
            each = [_decode_one(codec, one[None]) for one in some]
            found = np.concatenate([joint for joint, _ in each], axis=1)
            score = np.concatenate([value for _, value in each], axis=1)
        points[number], scores[number] = found[0], score[0]
    points[flat] = (width / 2, height / 2)
    scores[flat] = 0.0
    return points, scores


def _decode_one(codec: Any, stack: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        found, score = codec.decode(stack)
    except np.linalg.LinAlgError:
        row, column = np.unravel_index(int(stack.argmax()), stack.shape[1:])
        extent = np.array(codec.input_size) / (np.array(codec.heatmap_size) - 1)
        return (np.array([column, row]) * extent)[None, None], stack.max(axis=(1, 2))[None]
    return found, score
