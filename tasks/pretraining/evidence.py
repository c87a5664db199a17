"""What shows that an encoder has learned to fill in: its error beside that of cheap fillers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from tasks.pretraining.metrics import evaluate, ratio
from tasks.pretraining.model import MaskedModel, PositionMean

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbones import Backbone
    from tasks.contract import Evaluation, Metric
    from tasks.model import TaskModel
    from tasks.pretraining.data import MaskedImages
    from tasks.pretraining.recipe import PretrainingRecipe

Filler = Literal["visible_mean", "position_mean", "interpolation"]

LEAST_SCENES = 512
VISIBLE_MEAN_BOUND = 0.8
BEST_FILLER_BOUND = 0.9


@dataclass(frozen=True)
class Gate:
    """A condition on the evidence.

    Attributes:
        name: what is compared.
        value: the figure.
        bound: what it must stay below or, for a count, reach.
        passed: whether it does.
    """

    name: str
    value: float
    bound: float
    passed: bool


@dataclass(frozen=True)
class Evidence:
    """Mean absolute errors over the hidden pixels of unseen images, all on the same pixels and in
    the space of the recipe's target.

    Attributes:
        scenes: number of images.
        masked_l1: the encoder's with its decoder.
        fillers: by the mean of an image's visible pixels; by the mean of the pre-training images at
            that position; by harmonic interpolation from the visible border.
        ratios: the encoder's as a share of each filler's.
    """

    scenes: int
    masked_l1: Metric
    fillers: dict[Filler, float]
    ratios: dict[Filler, Metric]

    @property
    def better_filler(self) -> Filler:
        """The better of the two that use positions."""
        two: tuple[Filler, Filler] = ("position_mean", "interpolation")
        return min(two, key=lambda name: self.fillers[name])

    @property
    def gates(self) -> list[Gate]:
        """What an encoder that is shipped must pass."""
        mean, best = self.ratios["visible_mean"], self.ratios[self.better_filler]
        return [
            Gate("unseen scenes", self.scenes, LEAST_SCENES, self.scenes >= LEAST_SCENES),
            _below("masked L1 / visible_mean", mean.value, VISIBLE_MEAN_BOUND),
            _below(f"masked L1 / {self.better_filler}", best.value, BEST_FILLER_BOUND),
        ]

    @property
    def passed(self) -> bool:
        """Whether all gates are passed."""
        return all(gate.passed for gate in self.gates)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON knows it."""
        return {
            "scenes": self.scenes,
            "masked_l1": {"value": self.masked_l1.value, "error": self.masked_l1.error},
            "fillers": dict(self.fillers),
            "ratios": {n: {"value": m.value, "error": m.error} for n, m in self.ratios.items()},
            "gates": [
                {"name": g.name, "value": g.value, "bound": g.bound, "passed": g.passed}
                for g in self.gates
            ],
            "passed": self.passed,
        }


def measure(
    backbone: Backbone,
    recipe: PretrainingRecipe,
    seen: MaskedImages,
    unseen: MaskedImages,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> Evidence:
    """Measure an encoder with its decoder on all of `unseen`, without augmentation, under the masks
    that belong to the images.

    Args:
        backbone: kept with its decoder.
        recipe: the one that it was trained by: mask, target and sizes.
        seen: the images it was trained on, for the mean at each position.
        unseen: other images.
        batch_size: images at a time.
        advance: told the number of images after each batch.
    """
    models: list[TaskModel] = [
        MaskedModel(backbone, recipe).eval(),
        PositionMean(seen.mean_image(), recipe).eval(),
    ]
    rows: list[list[dict[str, Any]]] = [[], []]
    with torch.inference_mode():
        for first in range(0, len(unseen), batch_size):
            batch = _batch(unseen, range(first, min(first + batch_size, len(unseen))))
            for model, collected in zip(models, rows, strict=True):
                collected += model.predict(batch)
            advance(len(batch["index"]))
    by_encoder, by_position = (evaluate(each, len(unseen)) for each in rows)
    return _evidence(by_encoder, by_position)


def _evidence(by_encoder: Evaluation, by_position: Evaluation) -> Evidence:
    columns = by_encoder.per_sample
    errors: dict[Filler, list[float]] = {
        "visible_mean": columns["visible_mean"],
        "position_mean": by_position.per_sample["l1"],
        "interpolation": columns["interpolation"],
    }
    ratios = {name: ratio(columns["l1"], values) for name, values in errors.items()}
    fillers = {name: float(np.mean(values)) for name, values in errors.items()}
    masked_l1 = by_encoder.metrics["masked L1"]
    return Evidence(masked_l1.n, masked_l1, fillers, ratios)


def _below(name: str, value: float, bound: float) -> Gate:
    return Gate(name, value, bound, value < bound)


def _batch(dataset: MaskedImages, indices: range) -> dict[str, Any]:
    items = [dataset.item(index, None) for index in indices]
    batch = {key: torch.from_numpy(np.stack([item[key] for item in items])) for key in items[0]}
    return batch | {"index": torch.tensor(list(indices))}
