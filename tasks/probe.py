"""What is fitted to the features of a fixed encoder, where that is no training by steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.contract import Row, TaskDataset


@dataclass(frozen=True)
class Fixed:
    """A split as a fixed encoder sees it.

    Attributes:
        features: name -> (N,...), by sample.
        dataset: the split itself, for its labels.
    """

    features: dict[str, Tensor]
    dataset: TaskDataset


class Fitted(ABC):
    """What came out of a fit.

    Attributes:
        choice: what the selection split chose, of which candidates, JSON-able.
    """

    choice: dict[str, Any]

    @abstractmethod
    def predict(self, features: dict[str, Tensor]) -> list[Row]:
        """One row a sample, `sample` counted from 0."""


class Probe(ABC):
    """A fit: a function of features, labels and seed. The test split is not part of it."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What is fitted, in a line."""

    @abstractmethod
    def steps(self, training: int, selection: int) -> int:
        """What `advance` counts up to, for as many samples."""

    @abstractmethod
    def fit(
        self, training: Fixed, selection: Fixed, seed: int, advance: Callable[[int], None]
    ) -> Fitted:
        """Fit to the training split, choose by the selection split."""
