"""Classes of views, the loss over them, and what accuracy shows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from tasks.contract import DataError, Metric
from tasks.microworld import Microworld
from tasks.microworld.objects import COVERED
from tasks.pretraining.supervised.data import LabelledImages
from tasks.pretraining.supervised.evidence import AccuracyEvidence, evaluate, measure
from tasks.pretraining.supervised.model import Classifier, MostFrequent
from tasks.pretraining.supervised.recipe import SupervisedRecipe
from tasks.pretraining.supervised.task import SupervisedPretraining


def recipe(**sections: dict[str, Any]) -> SupervisedRecipe:
    values = yaml.safe_load((SupervisedPretraining.recipes / "smoke.yaml").read_text())
    for name, fields in sections.items():
        values[name] = values.get(name, {}) | fields
    return SupervisedRecipe.model_validate(values)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def small(cache: Path, monkeypatch: pytest.MonkeyPatch) -> SupervisedRecipe:
    monkeypatch.setenv("HARNESS_CACHE", str(cache))
    return recipe(data={"training": 20, "selection": 10, "test": 20})


def test_labels_are_those_that_the_world_stores(small: SupervisedRecipe) -> None:
    """Where it stores them: outside of the pre-training range."""
    data = LabelledImages(small, "test")
    stored = Microworld("test", 20, "covered", (64, 64)).labels()
    assert np.array_equal(data.labels, stored)
    assert data.item(3, None)["label"] == stored[3]
    assert data.class_names == COVERED


def test_training_images_are_of_the_pretraining_range(small: SupervisedRecipe) -> None:
    data = LabelledImages(small, "training")
    assert data.world.split == "pretraining"
    # Every ten images hold each of the ten classes once.
    assert np.array_equal(np.sort(data.labels.reshape(2, 10)), np.tile(np.arange(10), (2, 1)))


def test_permuted_labels_are_the_same_ones_elsewhere(small: SupervisedRecipe) -> None:
    data = LabelledImages(small, "training")
    other = data.permuted(0)
    assert not np.array_equal(other.labels, data.labels)
    assert np.array_equal(np.sort(other.labels), np.sort(data.labels))
    assert np.array_equal(other.item(0, None)["image"], data.item(0, None)["image"])
    assert np.array_equal(other.labels, data.permuted(0).labels)


def test_the_loss_is_cross_entropy_with_smoothed_labels() -> None:
    given = recipe(classifier={"label_smoothing": 0.2})
    model = Classifier(SupervisedPretraining().encoder(given, 0), given)
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    labels = torch.tensor([0, 3, 9, 3])
    (term,) = model.loss({"image": images, "label": labels}).values()
    with torch.no_grad():
        logs = model.backbone.logits(images / 255).log_softmax(dim=1)
    wanted = torch.full((4, 10), 0.2 / 10)
    wanted[torch.arange(4), labels] += 0.8
    assert float(term.total.detach()) == pytest.approx(float(-(wanted * logs).sum()), rel=1e-5)
    assert int(term.count) == 4
    term.total.backward()
    moved = {n for n, p in model.backbone.named_parameters() if p.grad is not None}
    assert {"head.weight", "fc_norm.weight", "encoder.cls_token"} <= moved
    assert model.backbone.unused_names("logits").isdisjoint(moved)


def test_two_views_of_an_image_in_training_alone(small: SupervisedRecipe) -> None:
    """Their loss is that of twice as many images, of the same classes."""
    two = recipe(data={"training": 20, "selection": 10, "test": 20}, classifier={"views": 2})
    data = LabelledImages(two, "training")
    item = data.item(3, np.random.default_rng(0))
    assert item["image"].shape == item["other"].shape
    assert not np.array_equal(item["image"], item["other"])
    first = LabelledImages(small, "training").item(3, np.random.default_rng(0))
    assert np.array_equal(item["image"], first["image"])
    assert "other" not in data.item(3, None)
    model = Classifier(SupervisedPretraining().encoder(two, 0), two)
    views = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    labels = torch.tensor([1, 7])
    with torch.no_grad():
        (both,) = model.loss({"image": views[:2], "other": views[2:], "label": labels}).values()
        (plain,) = model.loss({"image": views, "label": labels.repeat(2)}).values()
    assert int(both.count) == 4
    assert float(both.total) == pytest.approx(float(plain.total), rel=1e-6)


def test_only_the_classifier_begins_small() -> None:
    """All classes are equally probable at first, and the encoder is the one of the seed."""
    small, plain = (
        SupervisedPretraining().encoder(recipe(classifier={"init_scale": scale}), 3)
        for scale in (0.001, 1.0)
    )
    assert small.parameters_sha256() == plain.parameters_sha256()
    assert torch.equal(small.head.weight, 0.001 * plain.head.weight)
    with torch.no_grad():
        logits = small.logits(torch.rand(4, 3, 64, 64))
    assert float(logits.std()) > 0
    assert float((logits.softmax(dim=1) - 0.1).abs().max()) < 1e-3


def test_it_learns_a_few_images_by_heart(small: SupervisedRecipe) -> None:
    data = LabelledImages(small, "training")
    model = Classifier(SupervisedPretraining().encoder(small, 0), small)
    batch = {
        "image": torch.stack([torch.from_numpy(data.item(k, None)["image"]) for k in range(10)]),
        "label": torch.from_numpy(data.labels[:10]),
        "index": torch.arange(10),
    }
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(60):
        (term,) = model.loss(batch).values()
        optimizer.zero_grad()
        (term.total / term.count).backward()
        optimizer.step()
    with torch.no_grad():
        rows = model.eval().predict(batch)
    assert evaluate(rows, data.labels[:10]).metrics["accuracy"].value == 1.0


def test_accuracy_counts_each_image_once() -> None:
    labels = np.array([0, 1, 1])
    rows = [{"sample": k, "scores": s} for k, s in ((2, [0.0, 1.0]), (0, [1.0, 0.0]))]
    with pytest.raises(DataError, match="no prediction"):
        evaluate(rows, labels)
    rows.append({"sample": 1, "scores": [3.0, 2.0]})
    found = evaluate(rows, labels)
    assert found.metrics["accuracy"].value == pytest.approx(2 / 3)
    assert found.per_sample["correct"] == [1.0, 0.0, 1.0]
    assert found.metrics["accuracy"].error == pytest.approx(np.std([1, 0, 1], ddof=1) / 3**0.5)


def test_the_constant_says_the_most_frequent_class() -> None:
    model = MostFrequent(np.array([2, 1, 2, 0]), 3)
    (row,) = model.predict({"index": torch.tensor([7])})
    assert row["sample"] == 7
    assert int(np.argmax(row["scores"])) == 2


@pytest.mark.parametrize(("accuracy", "passed"), [(0.549, False), (0.55, True)])
def test_half_way_from_chance_to_one(accuracy: float, passed: bool) -> None:
    assert AccuracyEvidence(Metric(accuracy, 0.01, 512), 10, {}).passed is passed


def test_evidence_measures_the_given_encoder(small: SupervisedRecipe) -> None:
    """A classifier that always says class 4 finds the fours and nothing else."""
    backbone = SupervisedPretraining().encoder(small, 0)
    with torch.no_grad():
        backbone.head.weight.zero_()
        backbone.head.bias.zero_()[4] = 1.0
    unseen = LabelledImages(small, "test")
    found = measure(backbone, small, unseen, batch_size=6)
    assert found.accuracy.value == pytest.approx((unseen.labels == 4).mean())
    assert {name for name, value in found.by_class.items() if value} == {COVERED[4]}
    assert not found.passed
