"""An encoder and its classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from tasks.contract import Row, Term
from tasks.model import TaskModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backbones import Backbone
    from tasks.pretraining.supervised.recipe import SupervisedRecipe


class Classifier(TaskModel):
    """The encoder's own classifier, trained by cross-entropy.

    Batches hold `image` (B,3,H,W) uint8, perhaps a second view of each as `other`, and `label` (B,)
    int64.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, recipe: SupervisedRecipe) -> None:
        super().__init__(backbone)
        for name in backbone.unused_names("logits"):
            backbone.get_parameter(name).requires_grad_(False)
        self.smoothing = recipe.classifier.label_smoothing

    def initialise(self, seed: int) -> None:
        """Nothing is drawn: encoder and classifier are one network, created from the run's seed."""

    def loss(self, batch: dict[str, Any]) -> dict[str, Term]:
        images, labels = self.pixels(batch), batch["label"]
        if "other" in batch:
            images = torch.cat([images, batch["other"].float() / 255])
            labels = torch.cat([labels, labels])
        logits = self.backbone.logits(images).float()
        total = functional.cross_entropy(
            logits, labels, label_smoothing=self.smoothing, reduction="sum"
        )
        return {"classes": Term(total, torch.tensor(len(logits)))}

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        scores = self.backbone.logits(self.pixels(batch)).float().log_softmax(dim=1)
        return rows(batch, scores.tolist())


class MostFrequent(TaskModel):
    """The control: every image has the most frequent class of the training images."""

    def __init__(self, labels: NDArray[np.int64], classes: int) -> None:
        super().__init__()
        share = np.bincount(labels, minlength=classes) / len(labels)
        self.scores = np.log(np.maximum(share, 1e-12)).tolist()

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        return rows(batch, [self.scores] * len(batch["index"]))


def rows(batch: dict[str, Any], scores: list[list[float]]) -> list[Row]:
    """One row a sample: the logarithm of each class's probability."""
    return [
        {"sample": sample, "scores": values}
        for sample, values in zip(batch["index"].tolist(), scores, strict=True)
    ]
