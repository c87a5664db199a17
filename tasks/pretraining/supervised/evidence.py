"""From scores to accuracy, and the accuracy that shows that an encoder has learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.contract import Evaluation, Metric, Row
from tasks.pretraining.evidence import Evidence, Gate, batches, enough, spread
from tasks.pretraining.supervised.model import Classifier
from tasks.rows import in_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from backbones import Backbone
    from tasks.pretraining.supervised.data import LabelledImages
    from tasks.pretraining.supervised.recipe import SupervisedRecipe


@dataclass(frozen=True)
class AccuracyEvidence(Evidence):
    """The share of unseen views of covered objects whose class is found.

    Attributes:
        accuracy: in [0,1].
        classes: their number; all are equally frequent, so that chance is 1 / classes.
        by_class: the same for each class.
    """

    accuracy: Metric
    classes: int
    by_class: dict[str, float]

    @property
    def gates(self) -> list[Gate]:
        half_way = (1 / self.classes + 1) / 2
        return [enough(self.accuracy.n), Gate("accuracy", self.accuracy.value, half_way, True)]

    def figures(self) -> dict[str, Any]:
        return {
            "scenes": self.accuracy.n,
            "accuracy": {"value": self.accuracy.value, "error": self.accuracy.error},
            "chance": 1 / self.classes,
            "by_class": self.by_class,
        }

    def lines(self) -> list[str]:
        return [
            f"accuracy over {self.classes} covered classes, {self.accuracy.n} unseen images",
            f"  {'encoder and classifier':<26}{self.accuracy.value:.4f}"
            f"{spread(self.accuracy.error)}   (chance {1 / self.classes:.4f})",
            *(f"  {name:<26}{value:.4f}" for name, value in self.by_class.items()),
        ]


def evaluate(rows: list[Row], labels: NDArray[np.int64]) -> Evaluation:
    """Score the rows of all samples: top-1 accuracy in [0,1]; of equal scores the first counts.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    scores = np.array([row["scores"] for row in in_order(rows, len(labels))])
    correct = (scores.argmax(axis=1) == labels).astype(float)
    error = float(correct.std(ddof=1) / np.sqrt(len(correct))) if len(correct) > 1 else None
    metric = Metric(float(correct.mean()), error, len(correct))
    columns = {"sample": [float(k) for k in range(len(correct))], "correct": correct.tolist()}
    return Evaluation("accuracy", {"accuracy": metric}, columns, "tasks.pretraining.supervised 1")


def measure(
    backbone: Backbone,
    recipe: SupervisedRecipe,
    unseen: LabelledImages,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> AccuracyEvidence:
    """Measure an encoder with its classifier on all of `unseen`, without augmentation.

    Args:
        backbone: kept with its head.
        recipe: the one that it was trained by.
        unseen: images that it was not trained on.
        batch_size: images at a time.
        advance: told the number of images after each batch.
    """
    model = Classifier(backbone, recipe).eval()
    found: list[Row] = []
    with torch.inference_mode():
        for batch in batches(unseen, batch_size):
            found += model.predict(batch)
            advance(len(batch["index"]))
    evaluation = evaluate(found, unseen.labels)
    correct = np.array(evaluation.per_sample["correct"])
    names = unseen.class_names
    by_class = {
        name: float(correct[unseen.labels == number].mean())
        for number, name in enumerate(names)
        if (unseen.labels == number).any()
    }
    return AccuracyEvidence(evaluation.metrics["accuracy"], len(names), by_class)
