"""Views, the loss between them, the encoder that follows, and what retrieval shows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from harness.console import Console
from harness.engine.plan import make
from harness.errors import UserError
from harness.options import RunOptions
from tasks.contract import DataError, Metric, RecipeError
from tasks.pretraining.contrastive import colours
from tasks.pretraining.contrastive.data import PairedImages
from tasks.pretraining.contrastive.evidence import RetrievalEvidence, evaluate
from tasks.pretraining.contrastive.model import Contrast, Indifferent, Pixels, info_nce, mlp
from tasks.pretraining.contrastive.recipe import ColourRecipe, ContrastiveRecipe
from tasks.pretraining.contrastive.task import ContrastivePretraining

TASK = ContrastivePretraining()


def recipe(**sections: dict[str, Any]) -> ContrastiveRecipe:
    values = yaml.safe_load((ContrastivePretraining.recipes / "smoke.yaml").read_text())
    for name, fields in sections.items():
        values[name] = values.get(name, {}) | fields
    return ContrastiveRecipe.model_validate(values)


def contrast(given: ContrastiveRecipe) -> Contrast:
    model = Contrast(TASK.encoder(given, 0), given)
    model.initialise(1)
    return model


def batch(seed: int, count: int = 6) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)
    first, second = torch.randint(0, 256, (2, count, 3, 64, 64), generator=random)
    return {"image": first.byte(), "other": second.byte(), "index": torch.arange(count)}


def step(model: Contrast, optimizer: torch.optim.Optimizer, data: dict[str, Any]) -> None:
    (term,) = model.loss(data).values()
    optimizer.zero_grad()
    (term.total / term.count).backward()
    optimizer.step()


def adam(model: Contrast) -> torch.optim.Optimizer:
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)


def test_the_loss_is_that_of_the_publication() -> None:
    queries, keys = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0)).double()
    total = 0.0
    for k in range(5):
        logits = [
            float(queries[k] @ keys[j] / queries[k].norm() / keys[j].norm()) / 0.2 for j in range(5)
        ]
        total += 0.4 * (math.log(sum(math.exp(x) for x in logits)) - logits[k])
    assert float(info_nce(queries, keys, 0.2)) == pytest.approx(total, rel=1e-6)


def test_the_loss_goes_both_ways_and_to_the_first_encoder_only() -> None:
    model, data = contrast(recipe()), batch(0)
    (there,) = model.loss(data).values()
    turned = {"image": data["other"], "other": data["image"]}
    (back,) = contrast(recipe()).loss(turned).values()
    assert float(there.total.detach()) == pytest.approx(float(back.total.detach()), rel=1e-5)
    assert int(there.count) == 6
    there.total.backward()
    still = {name for name, p in model.named_parameters() if p.grad is None}
    assert {name for name in still if name.startswith("backbone.encoder.")} == {
        "backbone.encoder.patch_embed.proj.weight",
        "backbone.encoder.patch_embed.proj.bias",
        # What is pooled is the mean of tokens before the norm.
        "backbone.encoder.norm.weight",
        "backbone.encoder.norm.bias",
    }
    assert {name for name, _ in model.named_parameters() if name.startswith("follower.")} <= still


def test_the_second_encoder_follows_by_the_momentum() -> None:
    given = recipe(contrast={"momentum": 0.9})
    model = contrast(given)
    optimizer = adam(model)
    step(model, optimizer, batch(0))
    before = [p.clone() for p in model.follower.parameters()]
    ahead = [p.clone() for p in (*model.backbone.parameters(), *model.projector.parameters())]
    model.loss(batch(1))
    # After one of ten steps the momentum has gone a little of the way to 1.
    m = 1 - 0.1 * (1 + math.cos(math.pi / 10)) / 2
    for old, leader, now in zip(before, ahead, model.follower.parameters(), strict=True):
        assert torch.allclose(now, m * old + (1 - m) * leader, rtol=1e-5, atol=1e-7)
    assert any(not torch.equal(a, b) for a, b in zip(before, ahead, strict=True))


def test_an_interruption_changes_nothing() -> None:
    given = recipe()
    whole, first = contrast(given), contrast(given)
    for model, stop in ((whole, 4), (first, 2)):
        optimizer = adam(model)
        for k in range(stop):
            step(model, optimizer, batch(k))
    second = contrast(given)
    second.load_state_dict(first.state_dict())
    continued = adam(second)
    continued.load_state_dict(optimizer.state_dict())
    for k in (2, 3):
        step(second, continued, batch(k))
    assert int(second.steps) == 4
    for one, two in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)


def test_it_learns_to_tell_a_few_images_apart() -> None:
    """Views that are an image and its inversion: nothing that pixels would find."""
    model = contrast(recipe(contrast={"momentum": 0.9}))
    small = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    images = torch.nn.functional.interpolate(small, 64).mul(255).byte()
    data = {"image": images, "other": 255 - images, "index": torch.arange(8)}
    assert evaluate(Pixels().predict(data), 8).metrics["retrieval"].value < 0.5
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(60):
        step(model, optimizer, data)
    # Not knowing which of eight costs 2 x 2 x 0.2 x log 8 for each image.
    (term,) = model.loss(data).values()
    assert float(term.total.detach()) / 8 < 0.4 * 4 * 0.2 * math.log(8)


def test_projectors_end_normalised_and_keep_no_average() -> None:
    network = mlp((4, 8, 3))
    kinds = [type(layer).__name__ for layer in network]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]
    out = network(torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(out.mean(dim=0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(out.var(dim=0, unbiased=False), torch.ones(3), atol=1e-2)
    assert not list(network.buffers())


@pytest.fixture
def paired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PairedImages:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    return PairedImages(recipe(data={"training": 4, "selection": 2, "test": 2}), "training")


def test_views_are_a_function_of_index_and_generator(paired: PairedImages) -> None:
    one, two = (paired.item(1, np.random.default_rng(5)) for _ in range(2))
    for key in ("image", "other"):
        assert one[key].shape == (3, 64, 64) and one[key].dtype == np.uint8
        assert np.array_equal(one[key], two[key])
        assert np.array_equal(paired.item(1, None)[key], paired.item(1, None)[key])
    assert not np.array_equal(one["image"], one["other"])
    assert not np.array_equal(one["image"], paired.item(1, np.random.default_rng(6))["image"])


NOTHING = {"jitter": 0, "grey": 0, "blur": (0, 0), "solarize": (0, 0)}
ONE = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}


def changed(image: Any, view: int = 0, **fields: Any) -> Any:
    settings = ColourRecipe.model_validate(NOTHING | ONE | fields)
    return colours.change(image, settings, view, np.random.default_rng(0)).astype(int)


def test_colours_change_as_named() -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[:4] = (200, 100, 50)
    image[4:] = (40, 80, 120)
    assert np.array_equal(changed(image), image)
    # By factors of exactly 1 and a turn of 0 only the detour over HSV is left.
    assert abs(changed(image, jitter=1) - image).max() <= 3
    grey = changed(image, grey=1)
    assert np.array_equal(grey[..., 0], grey[..., 1]) and np.array_equal(grey[..., 0], grey[..., 2])
    assert grey[0, 0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    inverted = changed(image, solarize=(1, 0))
    assert np.array_equal(inverted[0, 0], (55, 100, 50))
    assert np.array_equal(changed(image, 1, solarize=(1, 0)), image)
    blurred = changed(image, blur=(1, 0), blur_deviation=(2.0, 2.0))
    assert 40 < blurred[3, 0, 0] < 200 and np.array_equal(changed(image, 1, blur=(1, 0)), image)
    brighter = changed(image, jitter=1, brightness=0.5)
    factor = brighter[0, 0, 0] / 200
    assert 0.5 <= factor <= 1.5 and abs(factor - 1) > 0.01
    assert abs(brighter[0, 0] - np.array((200, 100, 50)) * factor).max() <= 3
    turned = changed(image, jitter=1, hue=0.5)
    assert abs(turned - image).max() > 10
    assert abs(turned.max(axis=2) - image.max(axis=2)).max() <= 3


def row(sample: int, one: list[float], two: list[float]) -> dict[str, Any]:
    return {"sample": sample, "feature": one, "other": two}


def test_retrieval_looks_for_the_own_other_view_among_all() -> None:
    rows = [
        row(1, [0.0, 2.0], [0.1, 5.0]),
        row(0, [1.0, 0.0], [3.0, 0.0]),
        row(2, [1.0, 0.2], [0.0, -1.0]),
    ]
    found = evaluate(rows, 3)
    assert found.per_sample["found"] == [1.0, 1.0, 0.0]
    assert found.metrics["retrieval"].value == pytest.approx(2 / 3)
    same = Indifferent().predict({"index": torch.arange(4)})
    assert evaluate(same, 4).metrics["retrieval"].value == 0.25


@pytest.mark.parametrize(
    ("values", "passed"),
    [
        ((0.6, 0.1, 0.2), [True, True, True]),
        ((20 / 512, 0.01, 0.02), [True, True, True]),
        ((0.039, 0.01, 0.02), [True, False, True]),
        ((0.6, 0.1, 0.7), [True, True, False]),
        ((0.6, 0.65, 0.2), [True, True, False]),
    ],
)
def test_an_encoder_has_to_beat_what_needs_no_training(
    values: tuple[float, float, float], passed: list[bool]
) -> None:
    found = RetrievalEvidence(*(Metric(value, 0.01, 512) for value in values))
    assert [gate.passed for gate in found.gates] == passed


def test_pixels_know_an_image_under_brightness_alone() -> None:
    data = batch(0)
    data["other"] = (data["image"].int() // 2 + 20).byte()
    found = evaluate(Pixels().predict(data), 6)
    assert found.metrics["retrieval"].value == 1.0


def test_it_is_not_shared_by_processes() -> None:
    options = RunOptions(backbone="new", task=TASK.name, scale="smoke", devices=2)
    with pytest.raises(UserError, match="one process: leave --devices 2 out"):
        make(options, Console())


def test_what_cannot_be_is_refused() -> None:
    for sections in (
        {"backbone": {"input_size": [64, 64], "drop_path": 0.1}},
        {"train": {"batch_size": 1, "steps": 2}},
        {"train": {"batch_size": 2, "epochs": 2, "steps": None}},
    ):
        with pytest.raises(ValueError, match=r"leave|raise|give"):
            recipe(**sections)


def test_an_encoder_without_patches_has_none_to_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.pretraining.contrastive.model.PATCHES", "encoder.stem.")
    with pytest.raises(RecipeError, match="freeze_patches"):
        Contrast(TASK.encoder(recipe(), 0), recipe())
    free = recipe(contrast={"freeze_patches": False})
    model = Contrast(TASK.encoder(free, 0), free)
    weight: Tensor = model.backbone.get_parameter("encoder.patch_embed.proj.weight")
    assert weight.requires_grad


def test_the_encoder_before_training_is_that_of_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    given = recipe(data={"training": 4, "selection": 2, "test": 12})
    found = TASK.evidence(TASK.encoder(given, 3), given, 3, lambda _: None)
    assert found.retrieval == found.initial
    other = TASK.evidence(TASK.encoder(given, 3), given, 4, lambda _: None)
    assert other.retrieval == found.retrieval
    with pytest.raises(DataError, match="provenance"):
        TASK.evidence(TASK.encoder(given, 3), given, None, lambda _: None)
