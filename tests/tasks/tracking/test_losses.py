"""Losses and their gradients against those of SwinTrack's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tasks.contract import Term
from tasks.tracking.labels import shares, touched
from tasks.tracking.losses import losses, overlap
from tasks.tracking.matching import Response
from tasks.tracking.recipe import LossRecipe

FOLDER = Path(__file__).parents[2] / "fixtures/recipes/losses"
RECIPE = LossRecipe()


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "swintrack.json").read_text())
    return found


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(FOLDER / "swintrack.safetensors")


def given(tensors: dict[str, Tensor], dtype: torch.dtype) -> tuple[Response, Tensor, Tensor]:
    """Three images with a target, and a fourth, whose cells are taken to be negative."""
    scores = tensors["class_score"][:, 0].to(dtype, copy=True).requires_grad_()
    predicted = tensors["bbox"].to(dtype, copy=True).requires_grad_()
    boxes = tensors["boxes_xyxy"]
    positive = torch.cat([touched(boxes, (14, 14), 16), torch.zeros(1, 14, 14, dtype=torch.bool)])
    targets = shares(torch.cat([boxes, boxes[:1]]), (224, 224))
    return Response(scores, predicted), positive, targets


def values(terms: dict[str, Term]) -> list[float]:
    return [terms[name].value.item() for name in ("varifocal", "giou")]


def test_positive_cells_are_the_fixtures(tensors: dict[str, Tensor]) -> None:
    _, positive, targets = given(tensors, torch.float32)
    image, cell = positive.flatten(1).nonzero().T
    assert torch.equal(image, tensors["label_positive_sample_batch_dim_index"])
    assert torch.equal(cell, tensors["label_positive_sample_feature_map_dim_index"])
    torch.testing.assert_close(targets[image].float(), tensors["label_bounding_box_label"])


def test_values_in_float64(tensors: dict[str, Tensor], figures: dict[str, Any]) -> None:
    """The reference computed in float64 from targets stored as float32."""
    response, positive, targets = given(tensors, torch.float64)
    found = values(losses(response, positive, targets.float().double(), RECIPE))
    expected = [1.5 * value for value in figures["losses_unweighted_float64"]]
    assert found == pytest.approx(expected, rel=1e-9)


def test_values_and_gradients(tensors: dict[str, Tensor], figures: dict[str, Any]) -> None:
    response, positive, targets = given(tensors, torch.float32)
    terms = losses(response, positive, targets, RECIPE)
    expected = [1.5 * value for value in figures["losses_unweighted"]]
    assert values(terms) == pytest.approx(expected, rel=1e-6)
    assert terms["varifocal"].count == figures["num_positive_samples"]
    total = terms["varifocal"].value + terms["giou"].value
    assert total.item() == pytest.approx(figures["weighted_total"], rel=1e-6)
    torch.autograd.backward(total)
    for tensor, name in zip(response, ("class_score", "bbox"), strict=True):
        expected_gradient = tensors[f"out_grad_{name}"].reshape(tensor.shape)
        torch.testing.assert_close(tensor.grad, expected_gradient, rtol=1e-4, atol=1e-6)


def test_a_batch_without_positives(tensors: dict[str, Tensor], figures: dict[str, Any]) -> None:
    """The published figure is of the first two images."""
    response, _, targets = given(tensors, torch.float32)
    nothing = torch.zeros(2, 14, 14, dtype=torch.bool)
    two = Response(response.scores[:2], response.boxes[:2])
    found = losses(two, nothing, targets[:2], RECIPE)
    class_loss, box_loss = figures["batch_without_positives"]
    assert values(found) == pytest.approx([1.5 * class_loss, 1.5 * box_loss], rel=1e-6)
    torch.autograd.backward(found["giou"].value)
    assert response.boxes.grad is not None and not response.boxes.grad.any()


def test_shares_of_a_batch_add_up_to_the_whole(tensors: dict[str, Tensor]) -> None:
    """Totals and counts of two processes give the loss of one that sees all."""
    response, positive, targets = given(tensors, torch.float64)
    whole = losses(response, positive, targets, RECIPE)
    halves = [
        losses(Response(*(x[part] for x in response)), positive[part], targets[part], RECIPE)
        for part in (slice(1), slice(1, 4))
    ]
    for name, term in whole.items():
        total = sum(half[name].total.item() for half in halves)
        count = sum(half[name].count.item() for half in halves)
        assert total / count == pytest.approx(term.value.item(), rel=1e-12)


def test_overlap_of_hand() -> None:
    """A box inside one of four times its area; two apart, in a hull of six times either; nothing
    at all on nothing."""
    one = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.1, 0.5, 0.1, 0.1], [0.5, 0.5, 0.0, 0.0]])
    other = torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.6, 0.5, 0.1, 0.1], [0.5, 0.5, 0.0, 0.0]])
    iou, giou = overlap(one.double(), other.double())
    assert iou.tolist() == pytest.approx([0.25, 0, 0], abs=1e-6)
    assert giou.tolist() == pytest.approx([0.25, -4 / 6, 0], abs=1e-6)
    assert torch.isfinite(giou).all()


def test_a_certain_score_is_finite() -> None:
    """A sigmoid that has rounded to 0 or 1 is no infinity, in value and gradient."""
    scores = torch.tensor([[[0.0, 1.0]]], requires_grad=True)
    boxes = torch.full((1, 1, 2, 4), 0.5)
    positive = torch.tensor([[[True, False]]])
    terms = losses(Response(scores, boxes), positive, torch.full((1, 4), 0.5), RECIPE)
    torch.autograd.backward(terms["varifocal"].value)
    assert terms["varifocal"].value.isfinite() and scores.grad is not None
    assert scores.grad.isfinite().all()
