"""SILog against the reference's numbers, mmsegmentation's loss and a slow definition."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tasks import openmmlab
from tasks.contract import Pooled
from tasks.depth.losses import silog
from tasks.depth.recipe import LossRecipe
from tests.tasks.depth.networks import depths

FOLDER = Path(__file__).parents[2] / "fixtures/recipes/losses"
DEFAULT = LossRecipe.model_validate({})


def slow(predicted: Tensor, truth: Tensor, share: float = 0.5) -> Tensor:
    valid = truth > 0
    d = truth[valid].double().log() - predicted[valid].double().log()
    return ((d**2).mean() - share * d.mean() ** 2).sqrt()


def drawn(seed: int = 0, requires_grad: bool = True) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    predicted = torch.rand((4, 16, 16), generator=random) * 9 + 0.5
    return predicted.requires_grad_(requires_grad), depths(4, (16, 16))


def test_reference() -> None:
    stored = load_file(FOLDER / "silog.safetensors")
    figures = json.loads((FOLDER / "silog.json").read_text())
    predicted = stored["pred"].clone().requires_grad_()
    loss = silog(predicted[:, None], stored["target"], DEFAULT).value
    assert loss.item() == pytest.approx(figures["loss_float64"], rel=1e-7)
    (gradient,) = torch.autograd.grad(loss, predicted)
    torch.testing.assert_close(gradient, stored["out_grad_pred"], rtol=1e-5, atol=1e-8)
    exact = silog(stored["pred"].double()[:, None], stored["target"].double(), DEFAULT).value
    assert float(exact) == pytest.approx(figures["loss_float64"], rel=1e-12)
    whole = stored["target"].clamp(min=0.5).double()
    scaled = silog(2 * whole[:, None], whole, DEFAULT).value
    assert float(scaled) == pytest.approx(figures["constant_scale_float64"], rel=1e-9)


def test_pooled_over_the_batch_and_not_a_mean_over_images() -> None:
    predicted, truth = drawn()
    loss = silog(predicted[:, None], truth, DEFAULT).value
    assert loss.item() == pytest.approx(slow(predicted, truth).item(), rel=1e-6)
    each = [slow(p, t).item() for p, t in zip(predicted, truth, strict=True)]
    assert abs(sum(each) / 4 - loss.item()) > 1e-4


def test_mmsegmentation_on_one_image() -> None:
    theirs = openmmlab.load("mmseg.models.losses.silog_loss").silog_loss
    predicted, truth = drawn()
    one, other = predicted.detach()[:1].requires_grad_(), predicted.detach()[:1].requires_grad_()
    loss, expected = silog(one[:, None], truth[:1], DEFAULT).value, theirs(other, truth[:1])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    (mine,), (given,) = torch.autograd.grad(loss, one), torch.autograd.grad(expected, other)
    torch.testing.assert_close(mine, given, rtol=1e-4, atol=1e-8)


def test_two_processes_are_one() -> None:
    """The sums of both are those of the whole batch, and so are loss and gradient."""
    predicted, truth = drawn()
    truth[0] = 0
    whole = silog(predicted[:, None], truth, DEFAULT)
    (expected,) = torch.autograd.grad(whole.value, predicted)
    # Unequal parts, of which the first has no valid pixel.
    parts = [silog(predicted[k][:, None], truth[k], DEFAULT) for k in (slice(0, 1), slice(1, 4))]
    loss = parts[0].finish(parts[0].sums + parts[1].sums)
    assert loss.item() == pytest.approx(whole.value.item(), rel=1e-12)
    (found,) = torch.autograd.grad(loss, predicted)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("floor", [0.0, 1e-6])
def test_without_a_valid_pixel(floor: float) -> None:
    predicted, truth = drawn()
    recipe = LossRecipe.model_validate({"floor": floor})
    loss = silog(predicted[:, None], torch.zeros_like(truth), recipe).value
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert (gradient == 0).all()


@pytest.mark.parametrize("floor", [0.0, 1e-6])
def test_perfect_prediction_has_a_gradient(floor: float) -> None:
    _, truth = drawn()
    predicted = truth.clamp(min=0.5).requires_grad_()
    recipe = LossRecipe.model_validate({"floor": floor})
    loss = silog(predicted[:, None], truth.where(truth == 0, predicted.detach()), recipe).value
    assert loss.item() == pytest.approx(floor**0.5)
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert gradient.isfinite().all()


def test_settings() -> None:
    predicted, truth = drawn(requires_grad=False)
    whole = LossRecipe.model_validate({"share": 1.0})
    once = silog(predicted[:, None], truth, whole).value
    assert once.item() == pytest.approx(slow(predicted, truth, 1.0).item(), rel=1e-6)
    scaled = silog(3 * predicted[:, None], truth, whole).value
    assert scaled.item() == pytest.approx(once.item(), rel=1e-6), "share 1 knows no scale"
    above = LossRecipe.model_validate({"min_depth": 4.0})
    found = silog(predicted[:, None], truth, above).value
    assert found.item() == pytest.approx(slow(predicted, truth.where(truth > 4, 0)).item())
    deeper = silog(predicted[:, None], truth, LossRecipe.model_validate({"floor": 0.5})).value
    assert deeper.item() == pytest.approx((slow(predicted, truth).item() ** 2 + 0.5) ** 0.5)


def test_means_of_millions_of_pixels_are_exact() -> None:
    """A constant difference has no variance, which single precision would not see."""
    truth = torch.full((2, 1024, 1024), 7.3)
    predicted = truth[:, None] * torch.tensor(1.2).exp()
    found = silog(predicted, truth, LossRecipe.model_validate({"share": 1.0}))
    assert isinstance(found, Pooled)
    assert found.value.item() < 1e-7
