"""An encoder with a linear classifier, and the control that does not look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.classification import features
from tasks.classification.augmentation import erasing, mixing
from tasks.contract import DataInfo, RecipeError, Row, Term
from tasks.model import TaskModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backbones import Backbone
    from tasks.classification.recipe import ClassificationRecipe

FLOOR = 1e-12
"""Of a frequency, so that its logarithm is a number."""


class Classifier(TaskModel):
    """A linear layer on what the encoder's authors give theirs.

    Batches hold what `ClassificationDataset.item` gives: `image` (B,3,H,W), `target` (B,) class
    numbers or (B,C) 1, -1 and 0, and in training `erase` (B,n,4).

    Raises:
        RecipeError: a feature for the probe that the encoder lacks, or too few kept scores.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, recipe: ClassificationRecipe, info: DataInfo) -> None:
        super().__init__(backbone)
        self.recipe = recipe
        self.classes = int(info.model["classes"])
        self.multi_label = info.model["figure"] == "map11"
        for name in backbone.unused_names("pooled"):
            backbone.get_parameter(name).requires_grad_(False)
        self.head = nn.Linear(backbone.pooled_width, self.classes)
        if self.multi_label and recipe.predictions.keep < self.classes:
            raise RecipeError(
                f"average precision needs the scores of all {self.classes} classes: raise "
                "`predictions.keep`"
            )
        if recipe.protocol == "frozen":
            self._try_features()

    @torch.inference_mode()
    def _try_features(self) -> None:
        """Find out now, and not after hours, whether the encoder has what the probe asks for."""
        blank = torch.zeros(1, 3, *self.backbone.input_size, device=self.head.weight.device)
        features.extract(self.backbone.eval(), blank, self.recipe.probe.features)

    def initialise(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        std = self.recipe.head.init_std
        nn.init.trunc_normal_(self.head.weight, std=std, a=-2 * std, b=2 * std, generator=generator)
        nn.init.zeros_(self.head.bias)

    def features(self, batch: dict[str, Any], training: bool) -> dict[str, Tensor]:
        return features.extract(self.backbone, self.pixels(batch), self.recipe.probe.features)

    def loss(self, batch: dict[str, Any]) -> dict[str, Term]:
        images = self.pixels(batch)
        if "erase" in batch:
            mean, std = self.backbone.spec.mean, self.backbone.spec.std
            images = erasing.fill(images, batch["erase"], batch["sample_key"], mean, std)
        goal = self._goal(batch["target"])
        images, goal = mixing.mix(images, goal, self.recipe.mix, batch["batch_key"])
        logits = self.head(self.backbone.pooled(images)).float()
        if self.multi_label:
            each = functional.binary_cross_entropy_with_logits(logits, goal, reduction="none")
            total = each.mean(1).sum()
        else:
            total = mixing.soft_cross_entropy(logits, goal).sum()
        return {"classes": Term(total, torch.tensor(len(logits)))}

    def _goal(self, target: Tensor) -> Tensor:
        """(B,C) what the network should say; a difficult object counts as not shown."""
        if self.multi_label:
            return (target == 1).float()
        return mixing.soft_targets(target, self.classes, self.recipe.head.smoothing)

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        logits = self.head(self.backbone.pooled(self.pixels(batch))).float()
        scores = logits if self.multi_label else logits.log_softmax(1)
        return rows(batch["index"].tolist(), scores, self.recipe.predictions.keep)


class MostFrequent(TaskModel):
    """The control: every image has the most frequent class of the training images."""

    def __init__(self, frequency: NDArray[np.float64], keep: int) -> None:
        super().__init__()
        self.scores = torch.tensor(np.log(np.maximum(frequency, FLOOR)))
        self.keep = keep

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        samples = batch["index"].tolist()
        return rows(samples, self.scores.expand(len(samples), -1), self.keep)


def rows(samples: list[int], scores: Tensor, keep: int) -> list[Row]:
    """One row a sample: the `classes` with the highest `scores` (B,C), at most `keep` of them; of
    equal scores the lower number comes first."""
    ordered = scores.sort(dim=1, descending=True, stable=True)
    kept = slice(keep)
    return [
        {"sample": sample, "classes": named, "scores": values}
        for sample, named, values in zip(
            samples,
            ordered.indices[:, kept].tolist(),
            ordered.values[:, kept].tolist(),
            strict=True,
        )
    ]
