"""A tracker without parameters of its own: the template's map slid over the search image's."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tasks.tracking.fusion.features import chosen
from tasks.tracking.matching import Matcher, Response, ScaleSearch, View

if TYPE_CHECKING:
    from backbones import Backbone
    from tasks.tracking.recipe import TrackingRecipe

_FINE = 4
"""Places that are looked at along a cell's side."""


class Correlation(Matcher):
    """Fully-convolutional siamese tracking (Bertinetto et al. 2016) with a fixed encoder's map: the
    mean cosine between the cells that the target covers in the template and those of the search
    image, at each displacement, with bicubic interpolation between whole cells. The size is found
    by a search over scales.

    The map's own mean is subtracted from its cells first: in pre-trained encoders it outweighs
    everything else. Templates are cut as search images are, so that one size of the encoder does
    and a cell of either has the same position.

    Raises:
        RecipeError: a hierarchical encoder has no map of the stride asked for.
    """

    backbone: Backbone
    trained: ClassVar[bool] = False

    def __init__(self, backbone: Backbone, recipe: TrackingRecipe) -> None:
        super().__init__(backbone)
        self.recipe, given = recipe, recipe.model
        self.scale_search = ScaleSearch(given.scales, given.scale_penalty, given.scale_rate)
        self._number = chosen(backbone, given.stride)
        self._stride = backbone.feature_info[self._number or 0].stride

    @property
    def template_view(self) -> View:
        crop = self.recipe.crop
        return View(crop.search_factor, self.recipe.backbone.input_size, crop.min_side)

    def initialise(self, seed: int) -> None:
        """There is nothing to draw."""

    def template(self, images: Tensor) -> Tensor:
        """(B,C,h,w) cells of length 1, from which the map's mean was subtracted."""
        number, encoder = self._number, self.backbone
        found = (encoder.encode(images) if number is None else encoder(images)[number]).float()
        return functional.normalize(found - found.mean((2, 3), keepdim=True), dim=1)

    def remember(self, images: Tensor, boxes: Tensor) -> Tensor:
        """(B,C,h,w) those cells, each times the target's share in it over the sum of shares."""
        cells = self.template(images)
        columns = covered(boxes[:, 0], boxes[:, 2], cells.shape[3], self._stride)
        rows = covered(boxes[:, 1], boxes[:, 3], cells.shape[2], self._stride)
        weights = rows[:, :, None] * columns[:, None, :]
        weights = weights / weights.sum((1, 2), keepdim=True)
        return cells * weights[:, None]

    def match(self, template: Tensor, images: Tensor) -> Response:
        """Scores (1+cosine)/2 of displacements from one edge of the search image to the other, that
        of 0 among them, so that a target that rests stays where it is. Of the boxes only the
        centres mean something."""
        cells = self.template(images)
        with torch.autocast(cells.device.type, enabled=False):
            cosines = slid(template, cells)
        cell = self._stride / images.shape[2], self._stride / images.shape[3]
        boxes = places((cells.shape[2], cells.shape[3]), cell, _FINE, cells.device)
        fine = functional.interpolate(
            cosines[:, None], size=boxes.shape[:2], mode="bicubic", align_corners=True
        )
        return Response(((1 + fine[:, 0]) / 2).clamp(0, 1), boxes.expand(len(cells), -1, -1, -1))


def covered(low: Tensor, high: Tensor, cells: int, stride: int) -> Tensor:
    """(B,cells) which share of each of `cells` parts of a length `stride`, from 0 on, lies between
    `low` and `high` (B,)."""
    edges = stride * torch.arange(cells + 1, device=low.device)
    common = high[:, None].minimum(edges[1:]) - low[:, None].maximum(edges[:-1])
    return common.clamp(min=0) / stride


def slid(template: Tensor, cells: Tensor) -> Tensor:
    """Products of templates (B,C,h,w) with maps (B,C,h,w), moved by -floor(h/2) to floor(h/2) cells
    down and likewise to the right: (B,2*floor(h/2)+1,2*floor(w/2)+1). Beyond its edge a map is 0.
    """
    count, channels, height, width = cells.shape
    maps = cells.reshape(1, count * channels, height, width)
    padding = height // 2, width // 2
    return functional.conv2d(maps, template, padding=padding, groups=count)[0]


@lru_cache(maxsize=8)
def places(
    cells: tuple[int, int], cell: tuple[float, float], fine: int, device: torch.device
) -> Tensor:
    """(n,m,4) where the image's middle comes to lie at each displacement of a map, as shares of the
    image; width and height are 1.

    Args:
        cells: h, w of the map.
        cell: height, width of one of them as shares of the image.
        fine: displacements to a cell.
    """
    rows, columns = (
        0.5 + share * torch.linspace(-reach, reach, 2 * reach * fine + 1, device=device)
        for share, reach in zip(cell, (side // 2 for side in cells), strict=True)
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y, torch.ones_like(x), torch.ones_like(x)), dim=-1)
