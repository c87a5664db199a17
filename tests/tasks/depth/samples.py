"""Depth maps, protocols and data sets that the tests of this folder share."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.depth import storage
from tasks.depth.protocol import mask
from tasks.depth.recipe import MeasureRecipe, PredictionsRecipe

Map = NDArray[np.float32]


def measure_of(**settings: Any) -> MeasureRecipe:
    return MeasureRecipe.model_validate(settings)


def maps(seed: int, shape: tuple[int, int] = (24, 32)) -> tuple[Map, Map]:
    """A prediction and its truth in 0.5 to 12 m, of which a fifth is missing."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.5, 12, shape).astype(np.float32)
    prediction = (truth * np.exp(rng.normal(0, 0.3, shape))).astype(np.float32)
    truth[rng.random(shape) < 0.2] = 0
    return np.clip(prediction, 0.01, 10).astype(np.float32), truth


class Maps:
    """A data set of the truths given, with grey images."""

    def __init__(self, truths: list[Map], measure: MeasureRecipe, keep: str = "float32") -> None:
        self.truths = truths
        predictions = PredictionsRecipe.model_validate({"keep": keep})
        self.recipe = SimpleNamespace(measure=measure, predictions=predictions)
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.truths)

    def truth(self, index: int) -> Map:
        return self.truths[index]

    def name(self, index: int) -> str:
        return f"room/{index}.png"

    def item(self, index: int, rng: None) -> dict[str, Any]:
        self.asked.append(index)
        return {"image": np.full((3, *self.truths[index].shape), 20 * index, np.uint8)}

    def row(self, sample: int, prediction: Map, number: float = float("nan")) -> dict[str, Any]:
        recipe = self.recipe
        counted = mask(self.truths[sample], recipe.measure)
        packed = storage.pack(
            prediction, recipe.predictions.keep, recipe.measure.max_depth, counted
        )
        return {"sample": sample, "depth": packed, "number": number}


def some(count: int, keep: str = "float32", **settings: Any) -> tuple[list[dict[str, Any]], Maps]:
    """Rows and their data set."""
    pairs = [maps(seed) for seed in range(count)]
    dataset = Maps([truth for _, truth in pairs], measure_of(**settings), keep)
    return [dataset.row(k, prediction) for k, (prediction, _) in enumerate(pairs)], dataset
