"""Figures against scikit-learn, torchmetrics and the reference evaluator's stored output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, recall_score, top_k_accuracy_score
from torchmetrics.classification import MulticlassAccuracy

from tasks.classification import metrics
from tasks.classification.model import rows
from tasks.contract import DataError, Row

VOC = Path(__file__).parents[2] / "fixtures" / "metrics" / "voc07_ap"
CLASSES, COUNT = 9, 400


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that know something of unbalanced labels; one class is never shown."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(CLASSES - 1, COUNT, p=np.arange(1, CLASSES) / sum(range(CLASSES)))
    scores = rng.normal(size=(COUNT, CLASSES))
    scores[np.arange(COUNT), labels] += 1
    return scores, labels


def as_rows(scores: np.ndarray, keep: int = 100) -> list[Row]:
    return rows(list(range(len(scores))), torch.tensor(scores), keep)


def test_shares_equal_scikit_learn_and_torchmetrics() -> None:
    scores, labels = drawn()
    found = metrics.evaluate(as_rows(scores), labels, CLASSES, "accuracy", {}).metrics
    named = scores.argmax(1)
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, named), abs=1e-12)
    recall = recall_score(labels, named, average="macro", labels=np.unique(labels))
    assert found["mean_per_class"].value == pytest.approx(recall, abs=1e-12)
    top5 = top_k_accuracy_score(labels, scores, k=5, labels=range(CLASSES))
    assert found["top5"].value == pytest.approx(top5, abs=1e-12)
    # torchmetrics computes in float32, and counts a class that is named but never shown as 0.
    scores[:, -1] = -9
    found = metrics.evaluate(as_rows(scores), labels, CLASSES, "accuracy", {}).metrics
    given = torch.tensor(scores), torch.tensor(labels)
    for average, name in (("micro", "accuracy"), ("macro", "mean_per_class")):
        value = float(MulticlassAccuracy(CLASSES, average=average)(*given))
        assert found[name].value == pytest.approx(value, abs=1e-6)


def test_a_group_without_a_sample_has_no_figure() -> None:
    groups = {"first": [0, 1], "last": [CLASSES - 1]}
    found = metrics.evaluate(as_rows(drawn()[0]), drawn()[1], CLASSES, "accuracy", groups)
    assert "accuracy first" in found.metrics
    assert "accuracy last" not in found.metrics


def test_errors_are_those_of_means_over_samples() -> None:
    scores, labels = drawn()
    found = metrics.evaluate(as_rows(scores), labels, CLASSES, "mean_per_class", {})
    correct = scores.argmax(1) == labels
    p = correct.mean()
    error = np.sqrt(p * (1 - p) / (COUNT - 1))
    assert found.metrics["accuracy"].error == pytest.approx(error, rel=1e-12)
    column = np.array(found.per_sample["mean_per_class"])
    assert column.mean() == pytest.approx(found.metrics["mean_per_class"].value, abs=1e-12)
    assert found.per_sample["correct"] == correct.astype(float).tolist()


def test_groups_are_measured_apart() -> None:
    scores, labels = drawn()
    groups = {"near": [0, 1, 2, 3], "far": [4, 5, 6, 7, 8]}
    found = metrics.evaluate(as_rows(scores), labels, CLASSES, "accuracy", groups).metrics
    parts = [found["accuracy near"], found["accuracy far"]]
    assert sum(part.n for part in parts) == COUNT
    whole = sum(part.value * part.n for part in parts) / COUNT
    assert whole == pytest.approx(found["accuracy"].value, abs=1e-12)


def test_kept_classes_are_enough_for_the_figures() -> None:
    scores, labels = drawn()
    all_, some = (
        metrics.evaluate(as_rows(scores, keep), labels, CLASSES, "accuracy", {}).metrics
        for keep in (100, 5)
    )
    assert all_ == some
    assert len(as_rows(scores, 5)[0]["classes"]) == 5


def test_of_equal_scores_the_lower_number_counts() -> None:
    found = as_rows(np.zeros((1, 6)))
    assert found[0]["classes"] == [0, 1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def voc() -> dict[str, Any]:
    with np.load(VOC / "inputs.npz") as stored:
        return {name: stored[name] for name in stored}


@pytest.mark.parametrize("difficult", [True, False])
def test_average_precision_equals_the_reference(voc: dict[str, Any], difficult: bool) -> None:
    """Ties, a class without positives, recalls of exactly 3/10: as the reference has them."""
    expected = json.loads((VOC / "expected.json").read_text())
    names = ("as_reference", "without_label_0")
    name = names[0] if difficult else names[1]
    labels, scores = voc["labels"], voc["scores"]
    for column, value in enumerate(expected[f"ap_{name}"]):
        counts = np.ones(len(labels), bool) if difficult else labels[:, column] != 0
        found = metrics.average_precision(scores[counts, column], labels[counts, column] == 1)
        assert found == pytest.approx(value, abs=1e-9), expected["special_classes"].get(str(column))
    found = metrics.map11(scores, labels, difficult)
    assert 100 * found == pytest.approx(expected[f"map_{name}"], abs=1e-9)


def test_map_of_stored_rows_is_that_of_the_scores(voc: dict[str, Any]) -> None:
    found = metrics.evaluate(as_rows(voc["scores"]), voc["labels"], 20, "map11", {})
    assert found.primary == "map11"
    assert found.metrics["map11"].value == metrics.map11(voc["scores"], voc["labels"])
    assert found.resampled is not None
    assert found.metrics["map11"].error == pytest.approx(np.std(found.resampled, ddof=1))
    cut = as_rows(voc["scores"], 5)
    with pytest.raises(DataError, match="all 20 classes"):
        metrics.evaluate(cut, voc["labels"], 20, "map11", {})


def test_accuracy_equals_the_reference_s(voc: dict[str, Any]) -> None:
    expected = json.loads((VOC / "expected.json").read_text())
    truth, said = voc["accuracy/truth"], voc["accuracy/prediction"]
    classes = int(max(truth.max(), said.max())) + 1
    scores = np.eye(max(classes, 6))[said]
    found = metrics.evaluate(as_rows(scores), truth, scores.shape[1], "accuracy", {}).metrics
    assert 100 * found["accuracy"].value == pytest.approx(expected["accuracy"], abs=1e-9)


def test_rows_must_be_those_of_the_samples() -> None:
    scores, labels = drawn()
    found = as_rows(scores)
    for broken in (found[1:], [*found, found[0]], [*found, {**found[0], "sample": COUNT}]):
        with pytest.raises(DataError):
            metrics.evaluate(broken, labels, CLASSES, "accuracy", {})
