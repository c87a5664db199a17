"""Classes from the mean patch token of each block: nearest neighbours and logistic regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.classification.probes import knn, logistic
from tasks.classification.probes.choosing import best
from tasks.classification.probes.contract import Unwatched
from tasks.classification.probes.settings import KnnRecipe, LogisticRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.classification.probes.contract import Features, Fitted

NEIGHBOURS = (5, 10, 20, 50)
"""Numbers of neighbours that are tried; those above the number of training images are not."""

LOGISTIC = LogisticRecipe.model_validate(
    {"exponents": (-2.0, 4.0), "count": 7, "standardise": True}
)
"""L2 factors that are tried; C is one over them."""

_FEATURE = "mean"


class Labels:
    """The labels (N,) of each split, and how many classes there are.

    Args:
        training, selection, test: int64.
        classes: C.
    """

    def __init__(self, training: Tensor, selection: Tensor, test: Tensor, classes: int) -> None:
        self.training, self.selection, self.test = training, selection, test
        self.classes = classes

    def constant(self) -> NDArray[np.float64]:
        """(N,) whether a test image has the most frequent class of the training images."""
        most = torch.bincount(self.training, minlength=self.classes).argmax()
        return (self.test == most).double().cpu().numpy()


def neighbours(
    training: Tensor, selection: Tensor, test: Tensor, labels: Labels
) -> NDArray[np.float64]:
    """(N,) whether each test image is classified right by its nearest training images (cosine;
    tasks/classification/probes/knn.py), with the k that is best on the selection split.

    Args:
        training, selection, test: (N,C) float32 features of each split.
    """
    tried = [k for k in NEIGHBOURS if k <= len(training)] or [len(training)]
    fitted = [
        _fit(knn, training, selection, labels, KnnRecipe.model_validate({"k": k})) for k in tried
    ]
    place = best([each.choice["figure"] for each in fitted]) or 0
    return _correct(fitted[place], test, labels.test)


def linear(
    training: Tensor, selection: Tensor, test: Tensor, labels: Labels
) -> NDArray[np.float64]:
    """(N,) whether each test image is classified right by logistic regression
    (tasks/classification/probes/logistic.py: C from the selection split, fitted once more on both).
    """
    return _correct(_fit(logistic, training, selection, labels, LOGISTIC), test, labels.test)


def _fit(probe: Any, training: Tensor, selection: Tensor, labels: Labels, recipe: Any) -> Fitted:
    found: Fitted = probe.fit(
        _named(training),
        labels.training,
        _named(selection),
        labels.selection,
        labels.classes,
        recipe,
        _accuracy,
        0,
        Unwatched(),
    )
    return found


def _named(values: Tensor) -> Features:
    return {_FEATURE: values}


def _accuracy(scores: Tensor, labels: Tensor) -> float:
    return float((scores.argmax(1) == labels).double().mean())


def _correct(fitted: Fitted, test: Tensor, labels: Tensor) -> NDArray[np.float64]:
    scores = fitted.scores(_named(test))
    found: NDArray[np.float64] = (scores.argmax(1) == labels).double().cpu().numpy()
    return found
