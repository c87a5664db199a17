"""An encoder and its decoder, trained to fill in what is hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tasks.contract import Row, Term
from tasks.model import TaskModel
from tasks.pretraining import fillers, losses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backbones import Backbone
    from tasks.pretraining.recipe import PretrainingRecipe

PICTURES = 6
"""The first so many samples are kept as pictures in the rows."""


class MaskedModel(TaskModel):
    """Masked image modelling with any encoder that has a `masked` function.

    Batches hold `image` (B,3,H,W) uint8 and `mask` (B,H/p,W/p) bool, True = hidden.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, recipe: PretrainingRecipe) -> None:
        super().__init__()
        self.backbone = backbone
        for name in backbone.unused_names("masked"):
            backbone.get_parameter(name).requires_grad_(False)
        self.scale = Scale(recipe)
        self._loss = {"l1": losses.l1, "mse": losses.mse}[recipe.objective.loss]

    def initialise(self, seed: int) -> None:
        """Nothing is drawn: encoder and decoder are one network, created from the run's seed."""

    def loss(self, batch: dict[str, Any]) -> dict[str, Term]:
        images, mask = self.pixels(batch), batch["mask"]
        _, reconstruction = self.backbone.masked(images, mask)
        target = self.scale(images).of(images)
        hidden = losses.to_pixels(mask, (images.shape[2], images.shape[3]))
        return {"masked": self._loss(reconstruction.to(target.dtype), target, hidden)}

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        images = self.pixels(batch)
        _, reconstruction = self.backbone.masked(images, batch["mask"])
        scale = self.scale(images)
        return rows(batch, scale.back(reconstruction.float()), scale)


class PositionMean(TaskModel):
    """The control: every hidden pixel takes the mean of the training images at its position,
    (3,H,W) in [0,1]."""

    def __init__(self, mean: NDArray[np.float64], recipe: PretrainingRecipe) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.scale = Scale(recipe)

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        images = self.pixels(batch)
        mean: Tensor = self.get_buffer("mean")
        return rows(batch, mean.expand_as(images), self.scale(images))


class Scale:
    """From images in [0,1] to the space of the target: normalised pixels, or those normalised
    once more by window or patch. One affine map for truth, reconstruction and fillers alike."""

    def __init__(self, recipe: PretrainingRecipe) -> None:
        self.mean, self.std = recipe.encoder.mean, recipe.encoder.std
        self.target, self.patch = recipe.objective.target, recipe.encoder.patch_size

    def __call__(self, images: Tensor) -> Affine:
        """The map that belongs to `images` (B,3,H,W) in [0,1]."""
        mean = images.new_tensor(self.mean).view(3, 1, 1)
        std = images.new_tensor(self.std).view(3, 1, 1)
        shift, scale = losses.statistics((images - mean) / std, self.target, self.patch)
        return Affine(mean + std * shift, std * scale)


class Affine:
    """x -> (x - shift) / scale, and back."""

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        self.shift, self.scale = shift, scale

    def of(self, images: Tensor) -> Tensor:
        """Into the space of the target."""
        return (images - self.shift) / self.scale

    def back(self, target: Tensor) -> Tensor:
        """Out of it, into [0,1] in normal use. (Window and patch statistics are the truth's.)"""
        return target * self.scale + self.shift


def rows(batch: dict[str, Any], reconstruction: Tensor, scale: Affine) -> list[Row]:
    """One row a sample: the mean absolute error over its hidden pixels of `reconstruction`
    (B,3,H,W, in [0,1]) and of two cheap fillers, in the space of the target.

    `picture` is the filled image as 3*H*W bytes for the first samples, empty for the others.
    """
    images = TaskModel.pixels(batch)
    hidden = losses.to_pixels(batch["mask"], (images.shape[2], images.shape[3]))
    pairs = zip(images.cpu().double().numpy(), hidden.cpu().numpy(), strict=True)
    filled = [(fillers.visible_mean(i, h), fillers.harmonic(i, h)) for i, h in pairs]
    flat, smooth = (
        torch.from_numpy(np.stack(kind)).to(images) for kind in zip(*filled, strict=True)
    )
    errors = [_error(scale, images, x, hidden) for x in (reconstruction, flat, smooth)]
    shown = torch.where(hidden[:, None], reconstruction, images).clamp(0, 1).mul(255).round().byte()
    return [
        {
            "sample": sample,
            "l1": l1,
            "visible_mean": by_mean,
            "interpolation": by_border,
            "picture": shown[k].flatten().tolist() if sample < PICTURES else [],
        }
        for k, (sample, l1, by_mean, by_border) in enumerate(
            zip(batch["index"].tolist(), *errors, strict=True)
        )
    ]


def _error(scale: Affine, images: Tensor, filled: Tensor, hidden: Tensor) -> list[float]:
    difference = (scale.of(images) - scale.of(filled)).abs().double().mean(dim=1) * hidden
    per_sample: list[float] = (difference.sum(dim=(1, 2)) / hidden.sum(dim=(1, 2))).tolist()
    return per_sample
