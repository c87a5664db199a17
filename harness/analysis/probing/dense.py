"""What each token is to tell of its own cell: its depth, or its piece of the joints' heat maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.grids import Grid
    from harness.analysis.probing.data import Splits
    from tasks.pose.recipe import CodecRecipe

    Scores = NDArray[np.float64]

CELLS = 32
"""A heat map has at least so many cells along its shorter side."""

SIGMA = 2 / 32
"""Of its Gaussians, as a share of its height: 2 cells of 32."""


class Target(ABC):
    """What a token is to tell, and how good that is by the task's own metric.

    Args:
        splits: the task's data sets.
    """

    def __init__(self, splits: Splits) -> None:
        self.splits = splits

    @abstractmethod
    def cells(self, batch: dict[str, Any], grid: Grid) -> tuple[Tensor, Tensor]:
        """Return targets (B,h*w,D) float64 and which of them are known (B,h*w) bool."""

    @abstractmethod
    def score(self, batch: dict[str, Any], found: Tensor, grid: Grid) -> Scores:
        """Return the figure of each test sample (B,) from what its tokens told (B,h*w,D)."""

    @abstractmethod
    def constant(self) -> Scores:
        """Return the figure (n,) of each test sample for the task's constant prediction."""


class DepthTarget(Target):
    """The mean depth in metres of a cell's pixels that count; D = 1.

    The figure is the task's RMSE: over the pixels of the image that count, in metres. The cells'
    map is brought to their size bilinearly, so that blocks of every grid face the same pixels.
    """

    def __init__(self, splits: Splits) -> None:
        super().__init__(splits)
        self.measure = splits.test.recipe.measure

    def cells(self, batch: dict[str, Any], grid: Grid) -> tuple[Tensor, Tensor]:
        depth = batch["depth"].double()
        counted = (depth > self.measure.min_depth) & (depth < self.measure.max_depth)
        total = _sums(torch.where(counted, depth, 0.0), grid)
        number = _sums(counted.double(), grid)
        return (total / number.clamp(min=1))[..., None], number > 0

    def score(self, batch: dict[str, Any], found: Tensor, grid: Grid) -> Scores:
        maps = found.reshape(len(found), 1, grid.rows, grid.columns)
        height, width = batch["image"].shape[2:]
        fine = functional.interpolate(maps, grid.extent, mode="bilinear")[..., :height, :width]
        return np.array(
            [
                self._error(each, index)
                for each, index in zip(fine.cpu(), batch["index"].tolist(), strict=True)
            ]
        )

    def constant(self) -> Scores:
        mean = torch.from_numpy(self.splits.training.mean_map()[0])[None]
        return np.array([self._error(mean, index) for index in range(len(self.splits.test))])

    def _error(self, prediction: Tensor, index: int) -> float:
        """RMSE of a map (1,H,W) on one test image."""
        from tasks.depth.metrics import image_figures

        truth = self.splits.test.truth(index)
        fine = functional.interpolate(prediction[None], truth.shape, mode="bilinear")[0, 0]
        # The task's networks end within the range, too.
        within = fine.clamp(self.measure.min_depth, self.measure.max_depth).float().numpy()
        return image_figures(within, truth, self.measure)["rmse"]


class PoseTarget(Target):
    """The cell's piece of the heat map of each joint; D = joints * r * r for maps of r x r cells a
    token. A joint without a label has a map of 0.

    Gaussians of `SIGMA`, made and decoded by the task's codec (UDP). The figure is the task's OKS
    of the predicted pose with the person whose box it is in, in [0,1].
    """

    def __init__(self, splits: Splits) -> None:
        from tasks.pose.metrics import annotated_people

        super().__init__(splits)
        test = splits.test
        self.size: tuple[int, int] = test.recipe.backbone.input_size
        self.truth, self.sigmas = annotated_people(test), np.array(test.skeleton.sigmas)
        place = {int(number): row for row, number in enumerate(self.truth.ids)}
        self.person = np.array([place[int(number)] for number in test.samples.annotation])

    def cells(self, batch: dict[str, Any], grid: Grid) -> tuple[Tensor, Tensor]:
        from tasks.pose.codec import encode

        recipe, fine = _codec(grid)
        points, visible = batch["keypoints"].double(), batch["visible"].double()
        maps, _ = encode(points, visible, recipe, grid.extent)
        pieces = maps.reshape(*maps.shape[:2], grid.rows, fine, grid.columns, fine)
        found = pieces.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        return found, torch.ones(found.shape[:2], dtype=torch.bool, device=found.device)

    def score(self, batch: dict[str, Any], found: Tensor, grid: Grid) -> Scores:
        from tasks.pose.codec import decode, decoder
        from tasks.pose.crop import back_to_image

        recipe, fine = _codec(grid)
        pieces = found.reshape(len(found), grid.rows, grid.columns, -1, fine, fine)
        maps = pieces.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
        points, _ = decode(decoder(recipe, grid.extent), maps.float().cpu().numpy())
        # Of the cells' extent, which may reach over the input's edge.
        extent, size = (np.array(each[::-1], float) for each in (grid.extent, self.size))
        points *= (extent - 1) / extent * size / (size - 1)
        center, scale = (batch[name].double().cpu().numpy() for name in ("center", "scale"))
        return self._similarity(back_to_image(points, center, scale, self.size), batch)

    def constant(self) -> Scores:
        pose, boxes = self.splits.training.mean_pose(), self.splits.test.samples.boxes
        points = pose * boxes[:, None, 2:] + boxes[:, None, :2]
        return self._similarity(points, {"index": torch.arange(len(boxes))})

    def _similarity(self, points: Scores, batch: dict[str, Any]) -> Scores:
        """OKS of poses (B,K,2) in image pixels with the people of their samples."""
        from tasks.pose.matching import similarity

        people = self.person[batch["index"].cpu().numpy()]
        return similarity(points, self.truth, np.arange(len(points)), people, self.sigmas)


def _sums(values: Tensor, grid: Grid) -> Tensor:
    """(B,h*w) the sum of a map (B,H,W) over each cell."""
    height, width = grid.extent
    rest = (0, width - values.shape[2], 0, height - values.shape[1])
    whole = functional.pad(values, rest)
    blocks = whole.reshape(len(values), grid.rows, grid.stride, grid.columns, grid.stride)
    return blocks.sum((2, 4)).flatten(1)


def _codec(grid: Grid) -> tuple[CodecRecipe, int]:
    """The heat maps of a grid, and how many of their cells a token has along each side."""
    from tasks.pose.recipe import CodecRecipe

    fine = max(1, -(-CELLS // min(grid.rows, grid.columns)))
    rows, columns = grid.rows * fine, grid.columns * fine
    made = CodecRecipe.model_validate(
        {"type": "udp", "heatmap_size": (rows, columns), "sigma": SIGMA * rows, "blur_kernel": 11}
    )
    return made, fine
