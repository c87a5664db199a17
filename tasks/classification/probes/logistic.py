"""Logistic regression over a grid of L2 factors, after Kornblith et al. (2019) as ssl-transfer
(Ericsson et al., 2021) runs it.

For each factor of `logspace(-6, 5, 45)`, ascending, scikit-learn's L-BFGS minimises the
multinomial loss with C = 1 / factor, beginning where the factor before ended. The factor with the
highest figure on the selection split wins, of equal ones the smallest, and is fitted once more on
training and selection samples together. With several labels a sample each class has a regression
of its own against all others, with one factor for all. There, as for two classes, the reference
minimises a softmax over two opposite vectors: its penalty is half of that of the one vector that
scikit-learn has now, so that C is doubled.

Nothing is random: the loss is convex and whole, and features are taken in double precision. What a
thread more or less changes is rounding; the linear algebra has as many threads as torch has.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from tasks.classification.probes.choosing import best, check_choice, edges, measured
from tasks.classification.probes.contract import Features, Figure, Labelled, Watch
from tasks.classification.probes.head import Head, Scale
from tasks.classification.probes.settings import LogisticRecipe

Array = NDArray[Any]


def factors(recipe: LogisticRecipe) -> list[float]:
    """Return the L2 factors, ascending; float32 as the reference has them."""
    low, high = recipe.exponents
    return [float(each) for each in torch.logspace(low, high, recipe.count, dtype=torch.float32)]


def steps(recipe: LogisticRecipe, features: int, outputs: int) -> int:
    """Return how many steps a fit counts: one regression each, and those of the last fit."""
    return (recipe.count * features + 1) * outputs


class _Regression:
    """One target's regression, warm from one factor to the next."""

    def __init__(self, recipe: LogisticRecipe) -> None:
        from sklearn.linear_model import LogisticRegression

        self.model = LogisticRegression(
            tol=1e-4, max_iter=recipe.max_iter, warm_start=recipe.warm_start
        )
        self.seen: Array = np.empty(0)

    def fit(self, values: Array, target: Array, factor: float) -> bool:
        """Minimise the loss at an L2 factor; return whether that came to an end.

        Args:
            values: (N,D) float64.
            target: (N,) integers.
            factor: 1 / C.
        """
        from sklearn.base import clone

        seen = np.unique(target)
        if len(seen) < 2:
            self.seen = seen
            return True
        if not np.array_equal(seen, self.seen):
            self.model = clone(self.model)
        self.seen = seen
        self.model.set_params(C=(2 if len(seen) == 2 else 1) / factor)
        with _counting() as complaints, threadpool_limits(torch.get_num_threads(), "blas"):
            self.model.fit(values, target)
        return not complaints

    def linear(self, width: int) -> tuple[Tensor, Tensor]:
        """Return weight (D,K) and bias (K,) of the K classes seen; of two the second alone."""
        if len(self.seen) < 2:
            return torch.zeros(width, 1), torch.zeros(1)
        weight, bias = self.model.coef_.T, self.model.intercept_
        return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()


class _Path:
    """The regressions on one feature: one, or one a class where samples have several labels."""

    def __init__(self, feature: str, split: Labelled, recipe: LogisticRecipe, watch: Watch) -> None:
        self.feature, self.split, self.watch = feature, split, watch
        values = split.features[feature]
        self.scale = (Scale.of if recipe.standardise else Scale.identity)(values)
        self.values = self._prepared(split)
        outputs = split.classes if split.several else 1
        self.regressions = [_Regression(recipe) for _ in range(outputs)]

    def fit(self, factor: float, more: Labelled | None = None) -> tuple[Head, int]:
        """Return the head at an L2 factor, and how many regressions did not come to an end.

        Args:
            factor: 1 / C.
            more: samples beside the training samples.
        """
        values, targets = self.values, _targets(self.split)
        if more is not None:
            values = np.concatenate([values, self._prepared(more)])
            targets = np.concatenate([targets, _targets(more)])
        unfinished = 0
        for regression, target in zip(self.regressions, targets.T, strict=True):
            unfinished += not regression.fit(values, target, factor)
            self.watch.advance(1)
        return self._head(), unfinished

    def _head(self) -> Head:
        several, device = self.split.several, self.split.labels.device
        width, classes = self.values.shape[1], self.split.classes
        weight, bias = torch.zeros(width, classes), torch.full((classes,), -torch.inf)
        linear = [each.linear(width) for each in self.regressions]
        if several:
            weight, bias = (torch.cat(parts, -1) for parts in zip(*linear, strict=True))
        else:
            # Two classes have one vector: the logit of the second beside 0 for the first.
            seen = torch.from_numpy(self.regressions[0].seen)
            bias[seen] = 0.0
            columns = seen[-linear[0][1].numel() :]
            weight[:, columns], bias[columns] = linear[0]
        return Head(self.feature, self.scale, weight.to(device), bias.to(device), several, {})

    def _prepared(self, split: Labelled) -> Array:
        array: Array = self.scale(split.features[self.feature]).double().cpu().numpy()
        return array


def fit(
    training: Features,
    labels: Tensor,
    selection: Features | None,
    selection_labels: Tensor | None,
    classes: int,
    recipe: LogisticRecipe,
    figure: Figure,
    seed: int,
    watch: Watch,
) -> Head:
    """Choose an L2 factor, and of several features one, on the selection; fit once more on both.

    Of candidates with the same figure the one on the feature named first wins, with the smallest
    factor. Arguments as `grid.fit`; `seed` is of no use.

    Raises:
        RecipeError: for several candidates and no selection.
        DataError: where a feature is not finite.
    """
    del seed
    split = Labelled(training, labels, classes).check()
    chosen_on = Labelled.given(selection, selection_labels, classes)
    grid = factors(recipe)
    check_choice(chosen_on, len(grid) * len(training))
    candidates: list[dict[str, Any]] = []
    paths = {name: _Path(name, split, recipe, watch) for name in training}
    for name, path in paths.items():
        for factor in grid:
            head, unfinished = path.fit(factor)
            value = measured(head, chosen_on, figure)
            candidates.append(
                {"feature": name, "l2": factor, "figure": value, "unfinished": unfinished}
            )
    chosen = candidates[best([each["figure"] for each in candidates]) or 0]
    # As in the reference, the last fit begins where the grid ended.
    head, unfinished = paths[chosen["feature"]].fit(chosen["l2"], chosen_on)
    account = {
        "kind": "logistic",
        **chosen,
        "edges": edges(chosen, {"l2": grid}),
        "unfinished": unfinished,
        "unfinished_of_candidates": sum(each["unfinished"] for each in candidates),
        "candidates": candidates,
    }
    return replace(head, choice=account)


def _targets(split: Labelled) -> Array:
    """Return the targets (N, number of regressions)."""
    labels: Array = split.labels.cpu().numpy()
    return (labels == 1).astype(np.int64) if split.several else labels[:, None]


@contextmanager
def _counting() -> Iterator[list[warnings.WarningMessage]]:
    """Keep scikit-learn's warnings that L-BFGS did not end; let all others pass."""
    from sklearn.exceptions import ConvergenceWarning

    complaints: list[warnings.WarningMessage] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        yield complaints
    for each in caught:
        if issubclass(each.category, ConvergenceWarning):
            complaints.append(each)
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
