"""A fitted linear head: what the grid and logistic regression end in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tasks.classification.probes.contract import FLOOR, Features, Fitted

ROWS = 8192
"""Samples that are scored at once, so that memory does not grow with the split."""

EPSILON = 1e-6
"""Added to the variance, as MAE's batch norm before the linear head has it."""


@dataclass(frozen=True, eq=False)
class Scale:
    """What features are shifted and scaled by.

    Attributes:
        mean, factor: (D,) float32; x becomes (x - mean) * factor.
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Scale:
        """Return the scale that gives (N,D) training features mean 0 and deviation 1."""
        total = features.sum(0, dtype=torch.float64)
        mean = total / len(features)
        squares = torch.zeros_like(mean)
        for part in features.split(ROWS):
            squares += (part.double() - mean).square().sum(0)
        factor = (squares / len(features) + EPSILON).rsqrt()
        return cls(mean.float(), factor.float())

    @classmethod
    def identity(cls, features: Tensor) -> Scale:
        """Return the scale that leaves (N,D) features as they are."""
        ones = features.new_ones(features.shape[1])
        return cls(torch.zeros_like(ones), ones)

    def __call__(self, features: Tensor) -> Tensor:
        """Return (N,D) features, shifted and scaled."""
        return (features - self.mean) * self.factor


@dataclass(frozen=True, eq=False)
class Head(Fitted):
    """One linear layer on one feature.

    Attributes:
        feature: its name.
        scale: of the feature.
        weight: (D,C) float32.
        bias: (C,), minus infinity for a class that training did not see.
        several: whether a sample may have several labels: scores are logits then.
        choice: as in `Fitted`.
    """

    feature: str
    scale: Scale
    weight: Tensor
    bias: Tensor
    several: bool
    choice: dict[str, Any]

    def scores(self, features: Features) -> Tensor:
        """As in `Fitted`."""
        values = features[self.feature]
        parts = []
        for part in values.split(ROWS):
            logits = self.scale(part.to(self.weight.device)) @ self.weight + self.bias
            if not self.several:
                logits = functional.log_softmax(logits, 1).clamp_(min=FLOOR)
            parts.append(logits.to(values.device))
        return torch.cat(parts)
