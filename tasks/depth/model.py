"""An encoder with a head that gives depth, and the control that does not look."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tasks.contract import DataInfo, Pooled, Row
from tasks.depth import heads, levels, losses, storage, windows
from tasks.depth.fitting import fit
from tasks.depth.heads.contract import resized
from tasks.model import TaskModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backbones import Backbone
    from tasks.depth.recipe import DepthRecipe


class DepthModel(TaskModel):
    """Depth in metres from the maps of an encoder, under its recipe fitted to it.

    Batches hold what the data set gives: `image` (B,3,H,W) of the input's size, or in evaluation of
    `test.size`, then looked at through square windows; `depth` (B,H,W) metres, 0 where unknown; for
    predictions `truth_size` (B,2) and `valid`, a list of packed bits.

    Raises:
        RecipeError: the encoder has too few maps, or test images do not go into it.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, recipe: DepthRecipe, info: DataInfo) -> None:
        super().__init__(backbone)
        recipe, _ = fit(recipe, backbone)
        self.recipe = recipe
        self._several = recipe.head.type in heads.SEVERAL
        if recipe.normalise == "none":
            take_images_as_they_are(backbone)
        self.head = heads.build(recipe, levels.described(backbone, self._several))
        if recipe.protocol == "finetune":
            for name in levels.unused(backbone, self._several):
                backbone.get_parameter(name).requires_grad_(False)

    def initialise(self, seed: int) -> None:
        self.head.initialise(torch.Generator().manual_seed(seed))

    def depth(self, images: Tensor) -> Tensor:
        """Metres (B,1,h,w) as the head gives them, of images (B,3,H,W) in [0,1] of the input's
        size; (h,w) is that of the encoder's whole cells in pixels where its stride is a power of
        two, which is more than the input where the encoder pads it."""
        found: Tensor = self.head(levels.read(self.backbone, images, self._several))
        return found

    def features(self, batch: dict[str, Any], training: bool) -> dict[str, Tensor]:
        """The maps that the head gets, (B,C,h,w) each: `map0_at0` is the first map of the window
        whose first column is 0, the only one where the image has the input's size; for predictions
        with the flip test `mirrored0_at0` that of its mirror image."""
        images = self.pixels(batch)
        lefts, mirrored = self._lefts(images.shape[-1]), self.recipe.test.flip and not training
        found = self._seen(images, lefts, mirrored)
        return {
            name: x[:, view]
            for k, x in enumerate(found)
            for view, name in enumerate(_names(k, lefts, mirrored))
        }

    def loss(self, batch: dict[str, Any]) -> dict[str, Pooled]:
        truth: Tensor = batch["depth"]
        lefts = self._lefts(truth.shape[-1])
        found = self._of_views(self._maps(batch, lefts, mirrored=False))
        predicted = windows.join(found, lefts, truth.shape[-1])
        return {"silog": losses.silog(predicted, truth, self.recipe.loss)}

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        _, width = self.recipe.test.size or self.backbone.input_size
        lefts = self._lefts(width)
        found = self._maps(batch, lefts, self.recipe.test.flip)
        return rows(batch, self._joined(found, lefts, width), self.recipe)

    def estimate(self, images: Tensor) -> Tensor:
        """Metres (B,1,H,W) of images (B,3,H,W) in [0,1] of the test size, by the recipe's windows
        and flip test."""
        lefts = self._lefts(images.shape[-1])
        found = self._seen(images, lefts, self.recipe.test.flip)
        return self._joined(found, lefts, images.shape[-1])

    def _lefts(self, width: int) -> list[int]:
        return windows.edges(width, self.backbone.input_size[1], self.recipe.test)

    def _maps(self, batch: dict[str, Any], lefts: list[int], mirrored: bool) -> list[Tensor]:
        """(B,V,C,h,w) each, of the V views that `_seen` has, computed or kept."""
        kept = batch.get("features")
        if kept is None:
            return self._seen(self.pixels(batch), lefts, mirrored)
        every = [_names(k, lefts, mirrored) for k in range(levels.LEVELS if self._several else 1)]
        return [torch.stack([kept[name] for name in names], dim=1) for names in every]

    def _seen(self, images: Tensor, lefts: list[int], mirrored: bool) -> list[Tensor]:
        """The maps that the head gets, (B,V,C,h,w) each, of V views: the windows, and if
        `mirrored` then their mirror images in the same order."""
        views = windows.cut(images, lefts, self.backbone.input_size[1])
        if mirrored:
            views = torch.cat([views, views.flip(-1)], dim=1)
        found = levels.read(self.backbone, views.flatten(0, 1), self._several)
        return [_apart(x, len(images)) for x in found]

    def _of_views(self, found: list[Tensor]) -> Tensor:
        """Metres (B,V,1,H,W), H x W that of the input, from maps (B,V,C,h,w)."""
        depth = self.head([x.flatten(0, 1) for x in found])
        stride = self.backbone.feature_info[-1].stride
        # Where the encoder pads, its cells cover more than the input.
        covered = found[-1].shape[-2] * stride, found[-1].shape[-1] * stride
        height, width = self.backbone.input_size
        return _apart(resized(depth, covered)[..., :height, :width], len(found[-1]))

    def _joined(self, found: list[Tensor], lefts: list[int], width: int) -> Tensor:
        depth = self._of_views(found)
        if self.recipe.test.flip:
            plain, mirrored = depth.chunk(2, dim=1)
            depth = (plain + mirrored.flip(-1)) / 2
        return windows.join(depth, lefts, width)


class MeanDepth(TaskModel):
    """The control: the mean training depth of each place in the image, and beside it the one best
    number.

    Args:
        depth: (h,w) metres, for images of any size.
        number: metres.
        recipe: what of it is stored.
    """

    def __init__(self, depth: NDArray[np.float32], number: float, recipe: DepthRecipe) -> None:
        super().__init__()
        self.depth, self.number, self.recipe = depth, number, recipe

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        count = len(batch["index"])
        everywhere = torch.from_numpy(self.depth).float().expand(count, 1, -1, -1)
        return rows(batch, everywhere, self.recipe, self.number)


def rows(
    batch: dict[str, Any], depth: Tensor, recipe: DepthRecipe, number: float = float("nan")
) -> list[Row]:
    """One row a sample: depth (B,1,h,w) in metres, bilinearly brought to the size at which is
    measured and capped at the largest depth, of the network or measured, as bytes; `number` is one
    depth for the whole image, if there is one."""
    found = []
    cap = max(recipe.reach[1], recipe.measure.max_depth)
    sizes = batch["truth_size"].tolist()
    for sample, (height, width), bits, each in zip(
        batch["index"].tolist(), sizes, batch["valid"], depth, strict=True
    ):
        # Means round, so that they may end a bit above the cap.
        at_truth = resized(each[None], (height, width))[0, 0].clamp(max=cap).float().cpu().numpy()
        flat = np.unpackbits(bits.cpu().numpy(), count=height * width)
        valid = flat.astype(bool).reshape(height, width)
        packed = storage.pack(at_truth, recipe.predictions.keep, cap, valid)
        found.append(
            {
                "sample": sample,
                "height": height,
                "width": width,
                "depth": packed,
                "number": number,
            }
        )
    return found


def _names(k: int, lefts: list[int], mirrored: bool) -> list[str]:
    """What map `k` of each view is called."""
    words = ("map", "mirrored") if mirrored else ("map",)
    return [f"{word}{k}_at{left}" for word in words for left in lefts]


def _apart(x: Tensor, count: int) -> Tensor:
    """(count,V,C,h,w) of what V views of `count` images gave, (count*V,C,h,w)."""
    return x.reshape(count, -1, *x.shape[1:])


def take_images_as_they_are(backbone: Backbone) -> None:
    """Let images in [0,1] reach the encoder without its mean and deviation; its parameters and
    their hash stay."""
    backbone.mean.zero_()
    backbone.std.fill_(1)
    backbone.spec = replace(backbone.spec, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
