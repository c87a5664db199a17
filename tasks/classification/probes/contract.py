"""What a probe takes and gives: features in memory, a selection figure, a fitted classifier."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from tasks.contract import DataError

Features = Mapping[str, Tensor]
"""Name of a feature -> (N,D) float32; the rows of all features are the same N samples."""

Figure = Callable[[Tensor, Tensor], float]
"""Scores (N,C) and labels -> the figure that candidates are chosen by, higher is better."""

FLOOR = math.log(torch.finfo(torch.float32).tiny)
"""The least log-probability in scores, -87.3: of float32's smallest normal number. Classes that
training never saw or no neighbour voted for have it, in place of minus infinity."""


class Watch(Protocol):
    """Who is told how far a fit has come."""

    def advance(self, n: int) -> None:
        """Count `n` more steps."""


class Unwatched:
    """Tells nobody."""

    def advance(self, n: int) -> None:
        """Do nothing."""


class Fitted(ABC):
    """A classifier that was fitted on features, with the account of how it was chosen.

    Attributes:
        choice: what was chosen among what, in plain JSON values.
    """

    choice: dict[str, Any]

    @abstractmethod
    def scores(self, features: Features) -> Tensor:
        """Return scores (N,C) float32 on the device of the features.

        With one label a sample log-probabilities, none below `FLOOR`; with several a decision
        score for each class, higher for more confident.
        """


@dataclass(frozen=True, eq=False)
class Split:
    """Features with their labels.

    Attributes:
        features: as `Features`.
        labels: (N,) int64 class numbers; with several labels a sample (N,C): 1 shown, -1 not,
            0 difficult, which training counts as not shown.
        classes: C.
    """

    features: Features
    labels: Tensor
    classes: int

    @property
    def several(self) -> bool:
        """Whether a sample may have several labels."""
        return self.labels.ndim == 2

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def given(cls, features: Features | None, labels: Tensor | None, classes: int) -> Split | None:
        """Return the checked split, or None where there is none. Raises as `check`."""
        if features is None or labels is None:
            if features is not labels:
                raise ValueError("features and labels of a split come together")
            return None
        return cls(features, labels, classes).check()

    def check(self) -> Split:
        """Return the split, with its labels beside its features.

        Raises:
            ValueError: where shapes, types or class numbers do not fit together.
            DataError: where a feature is not finite, named with its sample.
        """
        labels, classes = self.labels, self.classes
        low, high = (-1, 1) if self.several else (0, classes - 1)
        if self.several and labels.shape[1] != classes:
            raise ValueError(f"labels of {labels.shape[1]} classes where there are {classes}")
        if not len(labels) or int(labels.min()) < low or int(labels.max()) > high:
            raise ValueError(f"{len(labels)} labels that are not all from {low} to {high}")
        if not self.features:
            raise ValueError("no features")
        for name, values in self.features.items():
            if values.dtype != torch.float32 or values.shape[:-1] != labels.shape[:1]:
                raise ValueError(f"{name}: {values.dtype} {tuple(values.shape)} for {len(labels)}")
            finite = values.isfinite().all(1)
            if not finite.all():
                row = int((~finite).nonzero()[0])
                raise DataError(
                    f"feature {name} of sample {row} is not finite ({int((~finite).sum())} of "
                    f"{len(finite)} samples are not): look at the encoder and its normalisation"
                )
        device = next(iter(self.features.values())).device
        return Split(self.features, labels.to(device), classes)
