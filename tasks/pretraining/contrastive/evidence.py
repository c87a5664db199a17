"""From features to retrieval, and the retrieval that shows that an encoder has learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.contract import Evaluation, Metric, Row
from tasks.pretraining.contrastive.model import Pixels, features
from tasks.pretraining.evidence import Evidence, Gate, batches, enough, spread
from tasks.rows import in_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbones import Backbone
    from tasks.pretraining.contrastive.data import PairedImages


TIMES_CHANCE = 20
"""What is called far above chance."""


@dataclass(frozen=True)
class RetrievalEvidence(Evidence):
    """The share of unseen images of which one view finds the other as the nearest of all.

    Attributes:
        retrieval: the encoder's, in [0,1].
        initial: that of the encoder before training.
        pixels: that of coarse pixels.
    """

    retrieval: Metric
    initial: Metric
    pixels: Metric

    @property
    def gates(self) -> list[Gate]:
        found, chance = self.retrieval.value, 1 / self.retrieval.n
        best = max(self.initial.value, self.pixels.value)
        return [
            enough(self.retrieval.n),
            Gate("retrieval", found, TIMES_CHANCE * chance, True),
            Gate("what needs no training / retrieval", best / max(found, 1e-9), 1.0),
        ]

    def figures(self) -> dict[str, Any]:
        return {
            "scenes": self.retrieval.n,
            "retrieval": {"value": self.retrieval.value, "error": self.retrieval.error},
            "initial": {"value": self.initial.value, "error": self.initial.error},
            "pixels": {"value": self.pixels.value, "error": self.pixels.error},
            "chance": 1 / self.retrieval.n,
        }

    def lines(self) -> list[str]:
        named = (
            ("encoder", self.retrieval),
            ("the same before training", self.initial),
            ("coarse pixels", self.pixels),
        )
        chance = 1 / self.retrieval.n
        return [
            f"the other view is the nearest of {self.retrieval.n} unseen images "
            f"(chance {chance:.4f})",
            *(f"  {name:<26}{m.value:.4f}{spread(m.error)}" for name, m in named),
        ]


def evaluate(rows: list[Row], count: int) -> Evaluation:
    """Score the rows of `count` samples: the share whose first view has, by the cosine, its own
    second view as the nearest among those of all samples; of equally near ones the first counts.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    ordered = in_order(rows, count)
    first, second = (np.array([row[key] for row in ordered]) for key in ("feature", "other"))
    nearest = (_normed(first) @ _normed(second).T).argmax(axis=1)
    found = (nearest == np.arange(count)).astype(float)
    error = float(found.std(ddof=1) / np.sqrt(count)) if count > 1 else None
    metric = Metric(float(found.mean()), error, count)
    columns = {"sample": [float(k) for k in range(count)], "found": found.tolist()}
    return Evaluation(
        "retrieval", {"retrieval": metric}, columns, "tasks.pretraining.contrastive 1"
    )


def measure(
    backbone: Backbone,
    initial: Backbone,
    unseen: PairedImages,
    batch_size: int = 32,
    advance: Callable[[int], None] = lambda _: None,
) -> RetrievalEvidence:
    """Measure an encoder on the pairs that belong to the images of `unseen`.

    Args:
        backbone: the encoder.
        initial: the same before training.
        unseen: images that it was not trained on.
        batch_size: images at a time.
        advance: told the number of images after each batch.
    """
    found: list[list[Row]] = [[], [], []]
    pixels = Pixels()
    with torch.inference_mode():
        for batch in batches(unseen, batch_size):
            found[0] += features(backbone, batch)
            found[1] += features(initial, batch)
            found[2] += pixels.predict(batch)
            advance(len(batch["index"]))
    metrics = (evaluate(each, len(unseen)).metrics["retrieval"] for each in found)
    return RetrievalEvidence(*metrics)


def _normed(features: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
