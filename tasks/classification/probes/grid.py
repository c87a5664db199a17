"""A grid of linear heads (learning rates x weight decays x features), trained in one pass.

The protocol is DINOv2's linear evaluation with weight decay added to the grid: SGD with momentum,
weights drawn from N(0, 0.01), bias 0, the learning rate going to 0 by a cosine over all steps. The
best head on the selection split is returned as it was trained: there is no second fit with the
selection split, whose samples would shift the steps that the learning rate was chosen for.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.classification.probes.choosing import best, check_choice, edges, measured
from tasks.classification.probes.contract import Features, Figure, Split, Watch
from tasks.classification.probes.head import Head, Scale
from tasks.classification.probes.settings import GridRecipe
from tasks.contract import RecipeError

DEVIATION = 0.01
"""Of the weights at the start (DINOv2)."""

_ORDER, _WEIGHTS = 0, 1


def combinations(recipe: GridRecipe) -> list[tuple[float, float]]:
    """Return (learning rate, weight decay) of each head of a feature, in the order in which ties
    are decided: the lowest learning rate first, and for it the largest weight decay."""
    rates, decays = sorted(recipe.learning_rates), sorted(recipe.weight_decays, reverse=True)
    return [(rate, decay) for rate in rates for decay in decays]


def steps(recipe: GridRecipe, samples: int, features: int) -> int:
    """Return how many steps a fit counts: its batches, and each head's look at the selection."""
    batches = recipe.epochs * math.ceil(samples / recipe.batch_size)
    return batches + features * len(combinations(recipe))


def order(seed: int, epoch: int, samples: int) -> Tensor:
    """Return the order (N,) of the training samples in an epoch."""
    return torch.from_numpy(np.random.default_rng([seed, _ORDER, epoch]).permutation(samples))


def first_weights(seed: int, width: int, classes: int) -> Tensor:
    """Return the weights (D,C) that every head on a feature of this width begins with."""
    drawn = np.random.default_rng([seed, _WEIGHTS]).normal(0, DEVIATION, (width, classes))
    return torch.from_numpy(drawn.astype(np.float32))


def rate_factor(step: int, total: int) -> float:
    """Return the learning rate in a step as a share of the peak: a cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * step / total))


class _Heads:
    """All heads (G of them) on one feature: weights (D,G*C) and bias (G*C,), side by side, so that
    a step is one product each way; columns never meet, so heads do not either."""

    def __init__(self, values: Tensor, split: Split, recipe: GridRecipe, seed: int) -> None:
        pairs = combinations(recipe)
        self.count, self.classes = len(pairs), split.classes
        self.scale = (Scale.of if recipe.standardise else Scale.identity)(values)
        self.values = values
        first = first_weights(seed, values.shape[1], split.classes).to(values.device)
        self.weight = first.repeat(1, self.count)
        self.bias = values.new_zeros(self.weight.shape[1])
        self.moving = [torch.zeros_like(each) for each in (self.weight, self.bias)]
        peak, decay = values.new_tensor(pairs).repeat_interleave(split.classes, 0).unbind(1)
        self.peak = peak * (recipe.batch_size / 256)
        self.decay = decay if any(recipe.weight_decays) else None
        self.momentum = recipe.momentum

    def step(self, rows: Tensor, labels: Tensor, factor: float) -> None:
        """Take a step of SGD (as torch.optim.SGD has it) on the samples `rows` (B,)."""
        batch = self.scale(self.values[rows])
        logits = torch.addmm(self.bias, batch, self.weight)
        slope = loss_slope(logits.view(len(rows), self.count, self.classes), labels)
        slope = slope.view_as(logits)
        weight, bias = self.moving
        weight.addmm_(batch.T, slope, beta=self.momentum)
        bias.mul_(self.momentum).add_(slope.sum(0))
        rate = self.peak * -factor
        for value, moving in zip((self.weight, self.bias), self.moving, strict=True):
            if self.decay is not None:
                moving.addcmul_(value, self.decay)
            value.addcmul_(moving, rate)

    def head(self, place: int) -> tuple[Tensor, Tensor]:
        """Return weight (D,C) and bias (C,) of one head."""
        columns = slice(place * self.classes, (place + 1) * self.classes)
        return self.weight[:, columns].clone(), self.bias[columns].clone()


def loss_slope(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the slope of each head's loss by its logits.

    The loss is cross-entropy, the mean over the batch; with several labels a sample binary
    cross-entropy, the mean over batch and classes.

    Args:
        logits: (B,G,C).
        labels: as in `Split`, of the batch.

    Returns:
        (B,G,C).
    """
    samples, _, classes = logits.shape
    if labels.ndim == 2:
        shown = (labels == 1).unsqueeze(1)
        return (logits.sigmoid() - shown.to(logits)) / (samples * classes)
    slope = logits.softmax(2)
    slope[torch.arange(samples, device=labels.device), :, labels] -= 1
    return slope.div_(samples)


def fit(
    training: Features,
    labels: Tensor,
    selection: Features | None,
    selection_labels: Tensor | None,
    classes: int,
    recipe: GridRecipe,
    figure: Figure,
    seed: int,
    watch: Watch,
) -> Head:
    """Train the grid on the training features and return the head that is best on the selection.

    A head ends as it would alone, but for the rounding of products of another width. Of heads with
    the same figure the one on the feature named first wins, with the lowest learning rate and for
    it the largest weight decay. A head whose values are not finite never wins and is named.

    Args:
        training: the features; all are in the grid.
        labels: of the training samples, as in `Split`.
        selection: features of the selection split; None where there is one candidate.
        selection_labels: likewise.
        classes: C.
        recipe: the grid.
        figure: told scores and labels of the selection split, on the device of the features.
        seed: of first weights and order.
        watch: told of `steps` steps.

    Raises:
        RecipeError: for several candidates and no selection, or where all heads diverged.
        DataError: where a feature is not finite.
    """
    split = Split(training, labels, classes).check()
    chosen_on = Split.given(selection, selection_labels, classes)
    pairs = combinations(recipe)
    check_choice(chosen_on, len(pairs) * len(training))
    grid = {name: _Heads(values, split, recipe, seed) for name, values in training.items()}
    _train(list(grid.values()), split.labels, recipe, seed, watch)
    heads: list[Head] = []
    candidates: list[dict[str, Any]] = []
    for name, trained in grid.items():
        for place, (rate, decay) in enumerate(pairs):
            head = Head(name, trained.scale, *trained.head(place), split.several, {})
            candidate = {"feature": name, "learning_rate": rate, "weight_decay": decay}
            finite = bool(head.weight.isfinite().all() and head.bias.isfinite().all())
            value = measured(head, chosen_on, figure) if finite else None
            diverged = not finite or (value is None and chosen_on is not None)
            heads.append(head)
            candidates.append(candidate | {"figure": value, "diverged": diverged})
            watch.advance(1)
    return _chosen(heads, candidates, recipe)


def _train(grid: list[_Heads], labels: Tensor, recipe: GridRecipe, seed: int, watch: Watch) -> None:
    size, samples = recipe.batch_size, len(labels)
    batches = math.ceil(samples / size)
    for epoch in range(recipe.epochs):
        rows = order(seed, epoch, samples).to(labels.device)
        for batch, chosen in enumerate(rows.split(size)):
            factor = rate_factor(epoch * batches + batch, recipe.epochs * batches)
            for heads in grid:
                heads.step(chosen, labels[chosen], factor)
            watch.advance(1)


def _chosen(heads: list[Head], candidates: list[dict[str, Any]], recipe: GridRecipe) -> Head:
    usable = [each for each in candidates if not each["diverged"]]
    if not usable:
        raise RecipeError(
            f"all {len(heads)} heads diverged (learning rates {sorted(recipe.learning_rates)} x "
            f"batch {recipe.batch_size} / 256): lower the learning rates, or standardise"
        )
    place = best([each["figure"] for each in candidates])
    place = 0 if place is None else place
    choice = {key: value for key, value in candidates[place].items() if key != "diverged"}
    tried = {"learning_rate": recipe.learning_rates, "weight_decay": recipe.weight_decays}
    account = {
        "kind": "grid",
        **choice,
        "edges": edges(choice, tried),
        "diverged": len(candidates) - len(usable),
        "candidates": candidates,
    }
    return replace(heads[place], choice=account)
