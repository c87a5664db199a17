"""Logistic regression over the grid, against the published code's grid and toy set."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info
from torch import Tensor

from tasks.classification.probes import logistic
from tasks.classification.probes.contract import FLOOR, Features
from tasks.classification.probes.head import Head
from tasks.classification.probes.settings import LogisticRecipe
from tasks.contract import RecipeError

from .blobs import Counted, accuracy, blobs, generator, matches, several, shuffled

PUBLISHED = Path(__file__).parents[3] / "fixtures/recipes/evaluation_procedures/kornblith.json"
CLASSES = 4


def recipe(**settings: Any) -> LogisticRecipe:
    return LogisticRecipe.model_validate({"exponents": (-3, 2), "count": 6} | settings)


def only(l2_exponent: float, **settings: Any) -> LogisticRecipe:
    return recipe(exponents=(l2_exponent, l2_exponent), count=1, **settings)


def fitted(
    given: LogisticRecipe, training: tuple[Features, Tensor], selection: Any = None, **rest: Any
) -> Head:
    other, other_labels = selection or (None, None)
    ways = {"classes": CLASSES, "figure": accuracy, "seed": 0, "watch": Counted()} | rest
    return logistic.fit(*training, other, other_labels, recipe=given, **ways)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return dict(json.loads(PUBLISHED.read_text()))


def test_published_grid(published: dict[str, Any]) -> None:
    default = LogisticRecipe.model_validate({})
    assert logistic.factors(default) == published["l2"]
    assert [1 / each for each in published["l2"]] == published["C"]
    asked = published["classifier"]
    assert (default.max_iter, default.warm_start) == (asked["max_iter"], asked["warm_start"])


def test_published_scores_and_choice(published: dict[str, Any]) -> None:
    toy = {name: torch.tensor(values) for name, values in published["toy"].items()}
    head = fitted(
        LogisticRecipe.model_validate({}),
        ({"pooled": toy["train_x"]}, toy["train_y"]),
        ({"pooled": toy["val_x"]}, toy["val_y"]),
        classes=3,
        figure=lambda scores, labels: 100.0 * accuracy(scores, labels),
    )
    figures = [each["figure"] for each in head.choice["candidates"]]
    assert figures == pytest.approx(published["toy"]["scores_over_grid"], abs=1e-12)
    assert 1 / head.choice["l2"] == published["toy"]["best_C"]
    # 45 factors share few figures, so that the rule for ties has decided.
    assert figures.count(max(figures)) > 1 and head.choice["edges"] == {}


def test_of_equal_factors_the_smallest_on_the_first_feature_wins() -> None:
    features, labels = blobs(64)
    two = {"b": features["pooled"], "a": 2 * features["pooled"]}
    choice = fitted(recipe(), (two, labels), (two, labels), figure=lambda *_: 0.0).choice
    assert choice["feature"] == "b" and choice["l2"] == logistic.factors(recipe())[0]
    assert choice["edges"] == {"l2": "lowest"}


def test_the_last_fit_has_training_and_selection_samples() -> None:
    training, selection = blobs(60, noise=1.5), blobs(40, seed=1, noise=1.5)
    given = recipe()
    head = fitted(given, training, selection)
    rows = [each[0]["pooled"].double().numpy() for each in (training, selection)]
    labels = [each[1].numpy() for each in (training, selection)]
    model = LogisticRegression(warm_start=True)
    figures = []
    for factor in logistic.factors(given):
        model.set_params(C=1 / factor).fit(rows[0], labels[0])
        figures.append(model.score(rows[1], labels[1]))
    assert figures == [each["figure"] for each in head.choice["candidates"]]
    model.set_params(C=1 / head.choice["l2"]).fit(np.concatenate(rows), np.concatenate(labels))
    expected = torch.from_numpy(model.predict_log_proba(rows[1])).float()
    found = head.scores(selection[0])
    # Single precision in the product; without the selection samples it is 0.5 away.
    assert torch.allclose(found, expected, atol=1e-4)


def two_opposite_vectors(
    rows: NDArray[np.float64], labels: NDArray[np.int64], factor: float
) -> NDArray[np.float64]:
    """Log-odds (N,) of class 1 at the least of the reference's loss: a softmax over two vectors,
    both punished: sum of the losses + factor / 2 * |w|^2, the biases free."""
    inputs, signs, width = torch.from_numpy(rows), torch.from_numpy(labels), rows.shape[1]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        values = torch.from_numpy(flat.reshape(2, width + 1)).requires_grad_()
        logits = inputs @ values[:, :width].T + values[:, width]
        total = torch.nn.functional.cross_entropy(logits, signs, reduction="sum")
        total = total + factor / 2 * values[:, :width].square().sum()
        (slope,) = torch.autograd.grad(total, values)
        return float(total.detach()), slope.numpy().ravel()

    found = minimize(loss, np.zeros(2 * (width + 1)), jac=True, method="L-BFGS-B", tol=1e-14)
    values = found.x.reshape(2, width + 1)
    logits = rows @ values[:, :width].T + values[:, width]
    odds: NDArray[np.float64] = logits[:, 1] - logits[:, 0]
    return odds


def test_two_classes_are_punished_as_in_the_reference() -> None:
    features, labels = blobs(80, classes=2, noise=2.0)
    scores = fitted(only(0.5), (features, labels), classes=2).scores(features).double()
    rows = features["pooled"].double().numpy()
    expected = two_opposite_vectors(rows, labels.numpy(), float(np.float32(10**0.5)))
    # The tolerance of L-BFGS, 1e-4 of the slope; half or double the penalty differs by 10 %.
    assert (
        np.abs((scores[:, 1] - scores[:, 0]).numpy() - expected).max() < 2e-3 * abs(expected).max()
    )


def test_several_labels_have_a_regression_each() -> None:
    features, labels = blobs(80, noise=2.0)
    truth = several(labels, CLASSES, difficult=True)
    watch = Counted()
    scores = fitted(only(0.5), (features, truth), watch=watch).scores(features).double().numpy()
    rows = features["pooled"].double().numpy()
    for each in range(CLASSES):
        target = (truth[:, each] == 1).long().numpy()
        expected = two_opposite_vectors(rows, target, float(np.float32(10**0.5)))
        assert np.abs(scores[:, each] - expected).max() < 2e-3 * np.abs(expected).max()
    # One candidate and the last fit, four regressions each.
    assert watch.steps == logistic.steps(only(0.5), 1, CLASSES) == 8


def test_a_label_that_no_sample_has() -> None:
    features, labels = blobs(80)
    truth = several(labels, CLASSES)
    truth[:, 2] = -1
    scores = fitted(only(0.0), (features, truth)).scores(features)
    assert torch.equal(scores[:, 2], torch.zeros(80))
    assert scores.isfinite().all()


def test_a_class_that_training_lacks_has_the_floor() -> None:
    features, labels = blobs(80)
    without = {"pooled": features["pooled"][labels != 1]}
    head = fitted(only(0.0), (without, labels[labels != 1]))
    scores = head.scores(features)
    assert torch.equal(scores[:, 1], torch.full((80,), FLOOR))
    assert torch.equal(scores.argmax(1)[labels != 1], labels[labels != 1])
    # Where the selection has it, the last fit learns it.
    both = fitted(only(0.0), (without, labels[labels != 1]), (features, labels))
    assert torch.equal(both.scores(features).argmax(1), labels)


def test_one_class_alone() -> None:
    features, _ = blobs(20)
    scores = fitted(only(0.0), (features, torch.full((20,), 2))).scores(features)
    assert torch.equal(scores[:, 2], torch.zeros(20)) and scores[:, 0].eq(FLOOR).all()


def test_fits_that_did_not_end_are_counted_and_nothing_is_said() -> None:
    training, selection = blobs(80, noise=2.0), blobs(40, seed=1, noise=2.0)
    short = fitted(recipe(max_iter=2), training, selection).choice
    unfinished = [each["unfinished"] for each in short["candidates"]]
    assert unfinished[0] == 1 and short["unfinished_of_candidates"] == sum(unfinished)
    assert short["unfinished"] in (0, 1)
    whole = fitted(recipe(max_iter=10000), training, selection).choice
    assert (whole["unfinished"], whole["unfinished_of_candidates"]) == (0, 0)


def test_other_warnings_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    original = LogisticRegression.fit

    def loud(self: LogisticRegression, *given: Any) -> Any:
        warnings.warn("look", UserWarning, stacklevel=1)
        return original(self, *given)

    monkeypatch.setattr(LogisticRegression, "fit", loud)
    with pytest.warns(UserWarning, match="look"):
        fitted(only(0.0, max_iter=1), blobs(80, noise=2.0))


def test_linear_algebra_has_the_threads_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, original = set(), LogisticRegression.fit

    def spying(self: LogisticRegression, *given: Any) -> Any:
        pools = [each for each in threadpool_info() if each["user_api"] == "blas"]
        seen.update(each["num_threads"] for each in pools)
        return original(self, *given)

    monkeypatch.setattr(LogisticRegression, "fit", spying)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            seen.clear()
            fitted(only(0.0), blobs(40))
            assert seen == {threads}
    finally:
        torch.set_num_threads(before)


def test_a_fit_repeats_to_the_bit() -> None:
    training, selection = blobs(80, noise=1.0), blobs(40, seed=1, noise=1.0)
    one, other = (fitted(recipe(), training, selection, seed=seed) for seed in (0, 1))
    assert torch.equal(one.weight, other.weight) and one.choice == other.choice
    assert json.loads(json.dumps(one.choice)) == one.choice


def test_standardised_features_have_no_unit() -> None:
    (features, labels), (other, truth) = blobs(80, noise=1.0), blobs(40, seed=1, noise=1.0)
    units = torch.logspace(-2, 2, 12)
    plain = fitted(recipe(standardise=True), (features, labels), (other, truth))
    scaled = fitted(
        recipe(standardise=True),
        ({"pooled": features["pooled"] * units}, labels),
        ({"pooled": other["pooled"] * units}, truth),
    )
    found = scaled.scores({"pooled": other["pooled"] * units})
    # 1e-6 beside a variance of 1e-4 moves scores by half a per cent.
    assert torch.allclose(plain.scores(other), found, atol=0.05, rtol=0.02)


def test_controls() -> None:
    training, selection = blobs(300), blobs(300, seed=1)
    assert fitted(recipe(), training, selection).choice["figure"] == 1.0
    noise = [{"pooled": torch.randn(300, 12, generator=generator(seed))} for seed in (1, 2)]
    permuted = fitted(only(0.0), (noise[0], shuffled(training[1])))
    chance = accuracy(permuted.scores(noise[1]), selection[1])
    assert abs(chance - 0.25) < 4 * (0.25 * 0.75 / 300) ** 0.5
    truth = [several(each[1], CLASSES) for each in (training, selection)]
    many = fitted(recipe(), (training[0], truth[0]), (selection[0], truth[1]), figure=matches)
    assert many.choice["figure"] > 0.99


def test_no_choice_without_a_selection() -> None:
    with pytest.raises(RecipeError, match="6 candidates, but no selection split"):
        fitted(recipe(), blobs(40))


def test_a_grid_that_descends_is_refused() -> None:
    with pytest.raises(ValueError, match="give ascending ones"):
        recipe(exponents=(2, -3))
