"""Losses against outputs of the published code (fixtures/recipes/losses).

Tolerances: 1e-5 in float32 and 1e-9 in float64, where the fixture was made with float64 inputs;
rounding alone is below 1e-6 and 1e-15.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from tasks.contract import Term
from tasks.pretraining import losses

FOLDER = Path(__file__).parents[2] / "fixtures/recipes/losses"
PRECISIONS = [(torch.float32, "", 1e-5), (torch.float64, "_float64", 1e-9)]


def fixture(name: str, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = load_file(FOLDER / f"{name}.safetensors")
    cast = {k: v if k == "mask" else v.to(dtype) for k, v in tensors.items()}
    return cast, json.loads((FOLDER / f"{name}.json").read_text())


def value(term: Term) -> float:
    return float((term.total / term.count).detach())


def reconstruct(t: dict[str, Tensor], stride: int) -> Tensor:
    decoded = functional.conv2d(t["features"], t["decoder_weight"], t["decoder_bias"])
    return functional.pixel_shuffle(decoded, stride)


@pytest.mark.parametrize(("dtype", "suffix", "tolerance"), PRECISIONS)
def test_simmim(dtype: torch.dtype, suffix: str, tolerance: float) -> None:
    t, figures = fixture("simmim_l1", dtype)
    t["features"].requires_grad_()
    hidden = losses.to_pixels(t["mask"].bool(), (32, 32))
    term = losses.l1(reconstruct(t, 16), t["image"], hidden)
    assert value(term) == pytest.approx(figures[f"loss{suffix}"], abs=tolerance)
    (gradient,) = torch.autograd.grad(term.total / term.count, t["features"])
    torch.testing.assert_close(gradient, t["out_grad_features"], rtol=1e-5, atol=1e-8)
    empty = losses.l1(t["out_reconstruction"], t["image"], torch.zeros_like(hidden))
    assert value(empty) == figures["loss_float64_empty_mask"]


@pytest.mark.parametrize(("dtype", "suffix", "tolerance"), PRECISIONS)
def test_simmim_with_window_normalisation(
    dtype: torch.dtype, suffix: str, tolerance: float
) -> None:
    t, figures = fixture("simmim_l1_norm47", dtype)
    hidden = losses.to_pixels(t["mask"].bool(), (64, 64))
    shift, scale = losses.statistics(t["image"], "norm47", 4)
    target = (t["image"] - shift) / scale
    # The fixture notes deviations of 3e-6 between float32 orders of summation.
    expected = t["out_norm_target_47_f64"].to(dtype)
    assert (target - expected).abs().max() < (1e-5 if dtype == torch.float32 else 1e-9)
    reconstruction = reconstruct(t, 32)
    normalised = losses.l1(reconstruction, target, hidden)
    assert value(normalised) == pytest.approx(figures[f"loss{suffix}"], abs=tolerance)
    raw = losses.l1(reconstruction, t["image"], hidden)
    assert value(raw) == pytest.approx(figures["loss_raw_target"], abs=1e-5)


@pytest.mark.parametrize(("dtype", "suffix", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("target", "name"), [("raw", "loss"), ("norm_pix", "loss_norm_pix")])
def test_mae(
    dtype: torch.dtype, suffix: str, tolerance: float, target: losses.Target, name: str
) -> None:
    t, figures = fixture("mae_pixel", dtype)
    assert torch.equal(losses.patchify(t["image"], 8), t["out_patchify"])
    hidden = losses.to_pixels(t["mask"].bool().reshape(2, 4, 4), (32, 32))
    # (row, column, colour) of the published vector to an image.
    cut = t["pred"].reshape(2, 4, 4, 8, 8, 3).permute(0, 5, 1, 3, 2, 4)
    reconstruction = cut.reshape(2, 3, 32, 32)
    shift, scale = losses.statistics(t["image"], target, 8)
    term = losses.mse(reconstruction, (t["image"] - shift) / scale, hidden)
    assert value(term) == pytest.approx(figures[name + suffix], abs=tolerance)


def test_terms_add_up_over_parts_of_a_batch() -> None:
    """Two processes that share a batch have its loss, whatever the masks of each."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand((2, 4, 3, 8, 8), generator=generator, dtype=torch.float64)
    hidden = (
        torch.rand((4, 8, 8), generator=generator)
        < torch.tensor([0.1, 0.2, 0.7, 0.9])[:, None, None]
    )
    for loss in (losses.l1, losses.mse):
        whole = loss(a, b, hidden)
        parts = [loss(a[k], b[k], hidden[k]) for k in (slice(0, 1), slice(1, 4))]
        total, count = sum(p.total for p in parts), sum(p.count for p in parts)
        # The divisor's 1e-5 is there once more: 5e-8 of the 192 hidden values.
        assert float(total / count) == pytest.approx(value(whole), rel=1e-6)
