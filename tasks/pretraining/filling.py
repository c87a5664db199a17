"""The evidence of masked image modelling: its error beside that of cheap fillers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from tasks.pretraining.evidence import Evidence, Gate, batches, enough, spread
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

VISIBLE_MEAN_BOUND = 0.8
BEST_FILLER_BOUND = 0.9


@dataclass(frozen=True)
class FillingEvidence(Evidence):
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
        mean, best = self.ratios["visible_mean"], self.ratios[self.better_filler]
        return [
            enough(self.scenes),
            Gate("masked L1 / visible_mean", mean.value, VISIBLE_MEAN_BOUND),
            Gate(f"masked L1 / {self.better_filler}", best.value, BEST_FILLER_BOUND),
        ]

    def figures(self) -> dict[str, Any]:
        return {
            "scenes": self.scenes,
            "masked_l1": {"value": self.masked_l1.value, "error": self.masked_l1.error},
            "fillers": dict(self.fillers),
            "ratios": {n: {"value": m.value, "error": m.error} for n, m in self.ratios.items()},
        }

    def lines(self) -> list[str]:
        masked = self.masked_l1
        return [
            f"mean absolute error over hidden pixels, {self.scenes} unseen images",
            f"  {'encoder with its decoder':<26}{masked.value:.4f}{spread(masked.error)}",
            *(
                f"  {name:<26}{value:.4f}   encoder's share {self.ratios[name].value:.4f}"
                f"{spread(self.ratios[name].error)}"
                for name, value in self.fillers.items()
            ),
        ]


def measure(
    backbone: Backbone,
    recipe: PretrainingRecipe,
    seen: MaskedImages,
    unseen: MaskedImages,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> FillingEvidence:
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
        for batch in batches(unseen, batch_size):
            for model, collected in zip(models, rows, strict=True):
                collected += model.predict(batch)
            advance(len(batch["index"]))
    by_encoder, by_position = (evaluate(each, len(unseen)) for each in rows)
    return _evidence(by_encoder, by_position)


def _evidence(by_encoder: Evaluation, by_position: Evaluation) -> FillingEvidence:
    columns = by_encoder.per_sample
    errors: dict[Filler, list[float]] = {
        "visible_mean": columns["visible_mean"],
        "position_mean": by_position.per_sample["l1"],
        "interpolation": columns["interpolation"],
    }
    ratios = {name: ratio(columns["l1"], values) for name, values in errors.items()}
    fillers = {name: float(np.mean(values)) for name, values in errors.items()}
    masked_l1 = by_encoder.metrics["masked L1"]
    return FillingEvidence(masked_l1.n, masked_l1, fillers, ratios)
