"""The probes of the protocol `frozen`, between the engine and `tasks.classification.probes`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never, cast

import torch

from tasks.classification import metrics
from tasks.classification.model import rows
from tasks.classification.probes import fitting, grid
from tasks.probe import Fitted, Fixed, Probe

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.classification.data import ClassificationDataset
    from tasks.classification.probes.contract import Fitted as FittedScores
    from tasks.classification.recipe import ClassificationRecipe
    from tasks.contract import DataInfo, Row


class ClassificationProbe(Probe):
    """What the recipe's `probe` says."""

    def __init__(self, recipe: ClassificationRecipe, info: DataInfo) -> None:
        self.recipe, self.probe = recipe, recipe.probe
        self.classes, self.figure = int(info.model["classes"]), info.model["figure"]

    @property
    def description(self) -> str:
        probe = self.probe
        names = ", ".join(probe.features)
        match probe.kind:
            case "grid":
                heads = len(grid.combinations(probe.grid)) * len(probe.features)
                return f"grid of {heads} linear heads on {names}, {probe.grid.epochs} epochs"
            case "logistic":
                return f"logistic regression on {names}, {probe.logistic.count} L2 factors"
            case "knn":
                return f"{probe.knn.k} nearest neighbours on {names}"
            case _:
                assert_never(probe.kind)

    def steps(self, training: int, selection: int) -> int:
        return fitting.steps(self.probe, training, self.classes if self.figure == "map11" else 1)

    def fit(
        self, training: Fixed, selection: Fixed, seed: int, advance: Callable[[int], None]
    ) -> FittedClassifier:
        found = fitting.fit(
            training.features,
            _labels(training),
            selection.features,
            _labels(selection),
            self.classes,
            self.probe,
            self._figure,
            seed,
            _Watch(advance),
        )
        return FittedClassifier(found, self.recipe.predictions.keep)

    def _figure(self, scores: Tensor, labels: Tensor) -> float:
        """The data set's own figure on the selection split."""
        found, true = scores.cpu().numpy(), labels.cpu().numpy()
        if self.figure == "map11":
            return metrics.map11(found, true)
        correct = (found.argmax(1) == true).astype(float)
        if self.figure == "mean_per_class":
            correct = metrics.per_class_shares(correct, true)
        return float(correct.mean())


class FittedClassifier(Fitted):
    """A fitted probe's predictions, as rows."""

    def __init__(self, found: FittedScores, keep: int) -> None:
        self.found, self.keep = found, keep
        self.choice: dict[str, Any] = found.choice

    def predict(self, features: dict[str, Tensor]) -> list[Row]:
        scores = self.found.scores(features)
        return rows(list(range(len(scores))), scores, self.keep)


@dataclass(frozen=True)
class _Watch:
    told: Callable[[int], None]

    def advance(self, n: int) -> None:
        self.told(n)


def _labels(split: Fixed) -> Tensor:
    return torch.as_tensor(cast("ClassificationDataset", split.dataset).labels)
