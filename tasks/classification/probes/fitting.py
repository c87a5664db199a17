"""One way to all probes: the recipe's kind, on the features that it names."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor

from tasks.classification.probes import grid, knn, logistic
from tasks.classification.probes.contract import Features, Figure, Fitted, Unwatched, Watch
from tasks.classification.probes.settings import ProbeRecipe
from tasks.contract import RecipeError


def fit(
    training: Features,
    labels: Tensor,
    selection: Features | None,
    selection_labels: Tensor | None,
    classes: int,
    recipe: ProbeRecipe,
    figure: Figure,
    seed: int,
    watch: Watch | None = None,
) -> Fitted:
    """Fit what the recipe says, on the features that it names and in their order.

    Arguments and errors as `grid.fit`, `logistic.fit` and `knn.fit` have them.

    Raises:
        RecipeError: for a feature that is not there, and as those.
    """
    named = _named(training, recipe)
    other = None if selection is None else _named(selection, recipe)
    ears = watch or Unwatched()
    match recipe.kind:
        case "grid":
            return grid.fit(
                named, labels, other, selection_labels, classes, recipe.grid, figure, seed, ears
            )
        case "logistic":
            return logistic.fit(
                named, labels, other, selection_labels, classes, recipe.logistic, figure, seed, ears
            )
        case "knn":
            return knn.fit(
                named, labels, other, selection_labels, classes, recipe.knn, figure, seed, ears
            )
        case kind:
            assert_never(kind)


def steps(recipe: ProbeRecipe, samples: int, outputs: int = 1) -> int:
    """Return how many steps `fit` tells its watch.

    Args:
        recipe: as for `fit`.
        samples: in training.
        outputs: classes, where a sample may have several labels; else 1.
    """
    features = len(recipe.features)
    match recipe.kind:
        case "grid":
            return grid.steps(recipe.grid, samples, features)
        case "logistic":
            return logistic.steps(recipe.logistic, features, outputs)
        case "knn":
            return knn.steps(features)
        case kind:
            assert_never(kind)


def _named(features: Features, recipe: ProbeRecipe) -> Features:
    missing = [name for name in recipe.features if name not in features]
    if missing:
        raise RecipeError(
            f"no feature named {', '.join(missing)}; there are: {', '.join(sorted(features))}"
        )
    return {name: features[name] for name in recipe.features}
