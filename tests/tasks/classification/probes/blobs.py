"""Features with known answers, and the figures that candidates are chosen by."""

import torch
from torch import Tensor

from tasks.classification.probes.contract import Features


class Counted:
    """A watch that counts."""

    def __init__(self) -> None:
        self.steps = 0

    def advance(self, n: int) -> None:
        self.steps += n


def accuracy(scores: Tensor, labels: Tensor) -> float:
    return float((scores.argmax(1) == labels).double().mean())


def matches(scores: Tensor, labels: Tensor) -> float:
    """Of several labels: the share of classes rightly said to be shown or not."""
    return float(((scores > scores.mean(0)) == (labels == 1)).double().mean())


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(
    samples: int, classes: int = 4, width: int = 12, seed: int = 0, noise: float = 0.1
) -> tuple[Features, Tensor]:
    """One feature, `pooled`: a corner per class, the same for every seed, and noise."""
    corners = torch.randn(classes, width, generator=generator(99))
    labels = torch.randint(classes, (samples,), generator=generator(seed))
    labels[:classes] = torch.arange(classes)
    spread = torch.randn(samples, width, generator=generator(seed + 1000))
    return {"pooled": corners[labels] + noise * spread}, labels


def several(labels: Tensor, classes: int, difficult: bool = False) -> Tensor:
    """Labels (N,C) of each sample's class and the next one; the one after that is difficult."""
    found = torch.full((len(labels), classes), -1)
    rows = torch.arange(len(labels))
    found[rows, labels] = found[rows, (labels + 1) % classes] = 1
    if difficult:
        found[rows, (labels + 2) % classes] = 0
    return found


def shuffled(labels: Tensor, seed: int = 5) -> Tensor:
    return labels[torch.randperm(len(labels), generator=generator(seed))]
