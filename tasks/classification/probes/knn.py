"""Votes of the nearest training samples, after DINO's evaluation.

The k training samples of the highest cosine similarity vote for their class with
exp(similarity / T). DINOv2 takes the softmax of similarity / T over the neighbours in place of the
bare exponential: after normalisation, which scores have anyway, the two are one. Only training
samples vote, as there; the selection split chooses between features, where several are given.
Nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tasks.classification.probes.choosing import best, check_choice, measured
from tasks.classification.probes.contract import FLOOR, Features, Figure, Fitted, Split, Watch
from tasks.classification.probes.neighbours import Bank
from tasks.classification.probes.settings import KnnRecipe
from tasks.contract import RecipeError


def steps(features: int) -> int:
    """Return how many steps a fit counts: a look at the selection for each feature."""
    return features


def log_votes(similarities: Tensor, labels: Tensor, classes: int, temperature: float) -> Tensor:
    """Return the logarithm of each class's sum of exp(similarity / T), minus infinity for none.

    Args:
        similarities: (N,k) of the neighbours, the highest first.
        labels: (N,k) their class numbers, or (N,k,C) as in `Split`.
        classes: C.
        temperature: T.

    Returns:
        (N,C) float64.
    """
    highest = similarities[:, :1].double() / temperature
    weights = (similarities.double() / temperature - highest).exp()
    votes = weights.new_zeros(len(weights), classes)
    # One neighbour after the other: the order of the sum is the same on every device.
    for weight, label in zip(weights.split(1, 1), labels.unbind(1), strict=True):
        if label.ndim == 2:
            votes += weight * (label == 1)
        else:
            votes.scatter_add_(1, label.unsqueeze(1), weight)
    return votes.log() + highest


@dataclass(frozen=True, eq=False)
class Neighbours(Fitted):
    """Training samples that vote.

    Attributes:
        feature: name of the feature that is compared.
        bank: the training features.
        split: training labels.
        recipe: how they vote.
        choice: as in `Fitted`.
    """

    feature: str
    bank: Bank
    split: Split
    recipe: KnnRecipe
    choice: dict[str, Any]

    def scores(self, features: Features) -> Tensor:
        """Return the logarithm of each class's share of the votes (N,C), no less than `FLOOR`; as
        in `Fitted`."""
        values, parts = features[self.feature], []
        for similarities, rows in self.bank.nearest(values, self.recipe.k):
            labels = self.split.labels[rows]
            votes = log_votes(similarities, labels, self.split.classes, self.recipe.temperature)
            whole = torch.logsumexp(similarities / self.recipe.temperature, 1, keepdim=True)
            shares = (votes - whole).clamp_(min=FLOOR, max=0.0).float()
            parts.append(shares.to(values.device))
        return torch.cat(parts)


def fit(
    training: Features,
    labels: Tensor,
    selection: Features | None,
    selection_labels: Tensor | None,
    classes: int,
    recipe: KnnRecipe,
    figure: Figure,
    seed: int,
    watch: Watch,
) -> Neighbours:
    """Keep the training samples; of several features the one that is best on the selection, of
    equal ones the first. Arguments as `grid.fit`; `seed` is of no use.

    Raises:
        RecipeError: for more neighbours than training samples, and for several features without a
            selection.
        DataError: where a feature is not finite.
    """
    del seed
    split = Split(training, labels, classes).check()
    chosen_on = Split.given(selection, selection_labels, classes)
    if recipe.k > len(split):
        raise RecipeError(f"k is {recipe.k}, but there are only {len(split)} training samples")
    check_choice(chosen_on, len(training))
    candidates: list[dict[str, Any]] = []
    banks = {name: Bank(values) for name, values in training.items()}
    for name, bank in banks.items():
        value = measured(Neighbours(name, bank, split, recipe, {}), chosen_on, figure)
        candidates.append({"feature": name, "figure": value})
        watch.advance(1)
    place = best([each["figure"] for each in candidates]) or 0
    chosen = candidates[place]
    account = {"kind": "knn", **chosen, "k": recipe.k, "temperature": recipe.temperature}
    fitted = Neighbours(chosen["feature"], banks[chosen["feature"]], split, recipe, {})
    return replace(fitted, choice=account | {"candidates": candidates})
