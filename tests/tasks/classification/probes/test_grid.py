"""The grid of linear heads.

Tolerance 2e-6 of the largest weight: products of another width and another order of the terms of
a step differ by rounding in single precision, by up to 5e-7 after 40 steps. That is for learning
rates at which a head settles: where it swings, rounding grows with the swings.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasks.classification.probes import grid
from tasks.classification.probes.contract import Features, Labelled
from tasks.classification.probes.head import Head
from tasks.classification.probes.settings import DINOV2_RATES, GridRecipe
from tasks.contract import DataError, RecipeError

from .blobs import Counted, accuracy, blobs, generator, matches, several, shuffled

SCHEDULES = Path(__file__).parents[3] / "fixtures/recipes/schedules"
CLASSES = 4
TOLERANCE = 2e-6


def recipe(**settings: Any) -> GridRecipe:
    given = {"epochs": 4, "batch_size": 16, "learning_rates": (0.1,)} | settings
    return GridRecipe.model_validate(given)


def fitted(
    given: GridRecipe, training: tuple[Features, Tensor], selection: Any = None, **rest: Any
) -> Head:
    features, labels = training
    other, other_labels = selection or (None, None)
    ways = {"figure": accuracy, "seed": 3, "watch": Counted()} | rest
    return grid.fit(features, labels, other, other_labels, CLASSES, given, **ways)


def difference(one: Head, other: Head) -> float:
    weights = (one.weight - other.weight).abs().max() / other.weight.abs().max()
    biases = (one.bias - other.bias).abs().max() / other.bias.abs().max()
    return float(torch.maximum(weights, biases))


def by_torch(given: GridRecipe, features: Tensor, labels: Tensor, seed: int) -> Head:
    """The one head of a recipe as one trains it by hand, with torch's own loss and optimiser."""
    if given.standardise:
        features = functional.batch_norm(features, None, None, training=True, eps=1e-6)
    layer = torch.nn.Linear(features.shape[1], CLASSES)
    layer.weight.data.copy_(grid.first_weights(seed, features.shape[1], CLASSES).T)
    layer.bias.data.zero_()
    peak = given.learning_rates[0] * given.batch_size / 256
    optimizer = torch.optim.SGD(
        layer.parameters(), peak, momentum=given.momentum, weight_decay=given.weight_decays[0]
    )
    total = given.epochs * -(-len(features) // given.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    for epoch in range(given.epochs):
        for rows in grid.order(seed, epoch, len(features)).split(given.batch_size):
            logits, truth = layer(features[rows]), labels[rows]
            if labels.ndim == 1:
                loss = functional.cross_entropy(logits, truth)
            else:
                shown = (truth == 1).float()
                loss = functional.binary_cross_entropy_with_logits(logits, shown)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    weight, bias = layer.weight.detach().T, layer.bias.detach()
    return Head("pooled", None, weight, bias, labels.ndim == 2, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("many", [False, True])
def test_a_head_is_what_torch_trains(standardise: bool, decay: float, many: bool) -> None:
    features, labels = blobs(150, noise=1.0)
    labels = several(labels, CLASSES, difficult=True) if many else labels
    given = recipe(standardise=standardise, weight_decays=(decay,), learning_rates=(3.0,))
    ours = fitted(given, (features, labels))
    theirs = by_torch(given, features["pooled"], labels, seed=3)
    assert difference(ours, theirs) < TOLERANCE


def test_a_head_in_a_grid_of_45_ends_as_alone() -> None:
    data = blobs(160, noise=1.0)
    rates, decays = tuple(0.01 * 1.5**step for step in range(15)), (0.0, 1e-3, 1e-1)
    given = recipe(learning_rates=rates, weight_decays=decays)
    heads = grid.train(Labelled(*data, CLASSES), given, 3, Counted())
    assert len(heads) == 45
    for head in heads:
        rate, decay = head.choice["learning_rate"], head.choice["weight_decay"]
        alone = fitted(recipe(learning_rates=(rate,), weight_decays=(decay,)), data)
        assert difference(head, alone) < TOLERANCE


def test_a_head_that_diverges_moves_no_other_and_does_not_win() -> None:
    data = blobs(64, noise=1.0)
    wild = recipe(learning_rates=(0.1, 1e30), weight_decays=(1.0,))
    head = fitted(wild, data, data, figure=lambda scores, _: -float(scores.abs().max()))
    alone = fitted(recipe(learning_rates=(0.1,), weight_decays=(1.0,)), data)
    assert difference(head, alone) < TOLERANCE
    assert head.choice["learning_rate"] == 0.1
    last = head.choice["candidates"][1]
    assert last == {
        "feature": "pooled",
        "learning_rate": 1e30,
        "weight_decay": 1.0,
        "figure": None,
        "diverged": True,
    }
    assert head.choice["diverged"] == 1
    assert head.scores(data[0]).isfinite().all()


def test_all_heads_diverged() -> None:
    with pytest.raises(RecipeError, match=r"all 2 heads diverged .* lower the learning rates"):
        data = blobs(64)
        fitted(recipe(learning_rates=(1e30, 1e31), weight_decays=(1.0,)), data, data)


def test_of_equal_heads_the_most_restrained_on_the_first_feature_wins() -> None:
    features, labels = blobs(64)
    two = {"b": features["pooled"], "a": features["pooled"] * 2}
    given = recipe(learning_rates=(0.2, 0.1, 0.3), weight_decays=(0.0, 1e-2, 1e-3))
    head = fitted(given, (two, labels), (two, labels), figure=lambda *_: 0.5)
    assert head.feature == head.choice["feature"] == "b"
    assert (head.choice["learning_rate"], head.choice["weight_decay"]) == (0.1, 1e-2)


def test_features_do_not_touch_each_other() -> None:
    features, labels = blobs(96, noise=1.0)
    other = torch.randn(96, 5, generator=generator(1))
    both = {"noise": other, "pooled": features["pooled"]}
    given = recipe(learning_rates=(0.1, 1.0))
    head = fitted(given, (both, labels), (both, labels))
    alone = fitted(given, (features, labels), (features, labels))
    assert head.feature == "pooled" and head.choice["figure"] == alone.choice["figure"]
    assert torch.equal(head.weight, alone.weight)


def test_the_selection_split_chooses_and_does_no_more() -> None:
    training, selection = blobs(128, noise=0.5), blobs(64, seed=1, noise=0.5)
    given = recipe(learning_rates=(1e-4, 1.0))
    head = fitted(given, training, selection)
    figures = [each["figure"] for each in head.choice["candidates"]]
    assert figures == sorted(figures) and figures[0] < figures[1]
    assert head.choice["figure"] == figures[1] == accuracy(head.scores(selection[0]), selection[1])
    assert difference(head, fitted(recipe(learning_rates=(1.0,)), training)) < TOLERANCE


def test_edges_are_told() -> None:
    data = blobs(64)
    given = recipe(learning_rates=(0.1, 0.2, 0.3), weight_decays=(0.0,))
    for place, edge in (
        (0, {"learning_rate": "lowest"}),
        (1, {}),
        (2, {"learning_rate": "highest"}),
    ):
        turn = iter(range(3))
        figure = lambda *_, turn=turn, place=place: float(next(turn) == place)  # noqa: E731
        assert fitted(given, data, data, figure=figure).choice["edges"] == edge


def test_published_learning_rates_in_every_step() -> None:
    reference = json.loads((SCHEDULES / "dinov2_linear.json").read_text())
    batch, total = reference["total_batch"], reference["iterations"]
    peaks = [grid.peak_rate(rate, batch) for rate in DINOV2_RATES]
    assert peaks == pytest.approx(reference["group_lr"][: len(peaks)], rel=1e-12)
    for each in reference["lr_in_effect_at_iteration"]:
        factor = grid.rate_factor(each["iteration"], total)
        ours = [peak * factor for peak in peaks]
        assert ours == pytest.approx(each["lr"][: len(ours)], rel=1e-6, abs=1e-15)


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    orders = {(seed, epoch): grid.order(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)}
    assert all(torch.equal(each.sort().values, torch.arange(50)) for each in orders.values())
    assert len({tuple(each.tolist()) for each in orders.values()}) == 4
    assert torch.equal(orders[1, 0], grid.order(1, 0, 50))


def test_first_weights() -> None:
    drawn = grid.first_weights(0, 400, 100)
    assert abs(float(drawn.std()) - 0.01) < 2e-4 and abs(float(drawn.mean())) < 2e-4
    assert not torch.equal(drawn, grid.first_weights(1, 400, 100))


def test_a_fit_repeats_to_the_bit_and_depends_on_the_seed() -> None:
    data = blobs(64, noise=1.0)
    one, again = (fitted(recipe(), data, seed=7) for _ in range(2))
    assert torch.equal(one.weight, again.weight) and torch.equal(one.bias, again.bias)
    assert not torch.equal(one.weight, fitted(recipe(), data, seed=8).weight)


def test_controls() -> None:
    training, selection = blobs(400), blobs(400, seed=1)
    given = recipe(learning_rates=(0.1, 1.0), epochs=10)
    assert fitted(given, training, selection).choice["figure"] == 1.0
    features, labels = training
    head = fitted(given, (features, shuffled(labels)), selection)
    # Whatever clusters are taken for one another: 400 samples of 4 equal clusters.
    noise = {"pooled": torch.randn(400, 12, generator=generator(4))}
    chance = fitted(given, (noise, shuffled(labels)), (noise, selection[1])).choice["figure"]
    assert abs(chance - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5
    assert head.choice["figure"] < 0.75


def test_several_labels() -> None:
    (features, labels), (other, truth) = blobs(400), blobs(200, seed=1)
    given = recipe(learning_rates=(1.0, 10.0), epochs=10)
    training = (features, several(labels, CLASSES))
    selection = (other, several(truth, CLASSES))
    head = fitted(given, training, selection, figure=matches)
    assert head.choice["figure"] > 0.99
    assert ((head.scores(other) > 0) == (selection[1] == 1)).double().mean() > 0.99


def test_log_probabilities() -> None:
    data = blobs(64)
    scores = fitted(recipe(), data).scores(data[0])
    assert scores.shape == (64, CLASSES) and scores.dtype == torch.float32
    assert torch.allclose(scores.exp().sum(1), torch.ones(64), atol=1e-6)


def test_the_account_is_plain_and_counted() -> None:
    features, labels = blobs(70)
    two = {"a": features["pooled"], "b": features["pooled"]}
    given, watch = recipe(learning_rates=(0.1, 0.2), epochs=3), Counted()
    head = fitted(given, (two, labels), (two, labels), watch=watch)
    assert json.loads(json.dumps(head.choice)) == head.choice
    assert len(head.choice["candidates"]) == 4
    assert watch.steps == grid.steps(given, 70, 2) == 3 * 5 + 4


def test_no_choice_without_a_selection() -> None:
    with pytest.raises(RecipeError, match="2 candidates, but no selection split"):
        fitted(recipe(learning_rates=(0.1, 0.2)), blobs(64))


def test_features_that_are_not_finite_are_named() -> None:
    features, labels = blobs(64)
    broken = features["pooled"].clone()
    broken[17, 3] = torch.nan
    with pytest.raises(DataError, match="feature pooled of sample 17 is not finite"):
        fitted(recipe(), ({"pooled": broken}, labels))


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_labels_that_are_no_class_are_refused(label: int) -> None:
    features, labels = blobs(64)
    labels[5] = label
    with pytest.raises(ValueError, match="labels that are not all from 0 to 3"):
        fitted(recipe(), (features, labels))
