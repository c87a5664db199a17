"""What shows that an encoder has learned: figures, and gates that a shipped encoder passes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from tasks.contract import TaskDataset

LEAST_IMAGES = 512


@dataclass(frozen=True)
class Gate:
    """A condition on the evidence.

    Attributes:
        name: what is compared.
        value: the figure.
        bound: what it must stay below or, where `reach`, come up to.
        reach: whether more is better.
    """

    name: str
    value: float
    bound: float
    reach: bool = False

    @property
    def passed(self) -> bool:
        """Whether the condition holds."""
        return self.value >= self.bound if self.reach else self.value < self.bound

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "name": self.name,
            "value": self.value,
            "bound": self.bound,
            "passed": self.passed,
        }


class Evidence(ABC):
    """Figures on unseen images, by objective."""

    @property
    @abstractmethod
    def gates(self) -> list[Gate]:
        """What an encoder that is shipped must pass."""

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """The figures as JSON knows them; the standard error of each lies beside it as `error`."""

    @abstractmethod
    def lines(self) -> list[str]:
        """The figures as text for people."""

    @property
    def passed(self) -> bool:
        """Whether all gates are passed."""
        return all(gate.passed for gate in self.gates)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON knows it."""
        gates = [gate.as_dict() for gate in self.gates]
        return self.figures() | {"gates": gates, "passed": self.passed}


def enough(images: int) -> Gate:
    """The gate on the number of images."""
    return Gate("unseen scenes", images, LEAST_IMAGES, reach=True)


def batches(dataset: TaskDataset, size: int) -> Iterator[dict[str, Any]]:
    """The whole data set as evaluation sees it, in order, as batches of tensors."""
    for first in range(0, len(dataset), size):
        indices = range(first, min(first + size, len(dataset)))
        items = [dataset.item(index, None) for index in indices]
        batch = {key: torch.from_numpy(np.stack([item[key] for item in items])) for key in items[0]}
        yield batch | {"index": torch.tensor(list(indices))}


def spread(error: float | None) -> str:
    """A standard error as text after its figure."""
    return "" if error is None else f" ± {error:.4f}"
