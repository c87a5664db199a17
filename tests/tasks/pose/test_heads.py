"""What lies between an encoder's last map and the heat maps, against lines that say the same."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import backbones
from tasks.contract import DataInfo
from tasks.pose.model import PoseModel
from tests.backbones.stages import small
from tests.tasks.pose.folders import recipe
from tests.tasks.pose.test_task import encoder

INFO = DataInfo("", "training", 1, "", "", model={"flip": list(range(17))})
IMAGES = torch.rand((2, 3, 128, 128), generator=torch.Generator().manual_seed(3))


def model(backbone: backbones.Backbone, **head: Any) -> PoseModel:
    given = recipe("smoke")
    built = PoseModel(
        backbone,
        given.model_copy(update={"head": given.head.model_copy(update=head)}),
        INFO,
    )
    built.initialise(0)
    return built.eval()


def swinv2() -> backbones.Backbone:
    """With noise in it: the map of a new one is normed nearly to the bit, whatever follows."""
    found: backbones.Backbone = small("swinv2", 128)
    return found


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Bilinear, pixels being squares: a cell's centre lies at (i + 1/2) / factor - 1/2."""
    side = x.shape[-1]
    at = ((torch.arange(side * factor) + 0.5) / factor - 0.5).clamp(min=0)
    low = at.floor().long()
    high, share = (low + 1).clamp(max=side - 1), at - low
    rows = x[..., low, :] * (1 - share)[:, None] + x[..., high, :] * share[:, None]
    return rows[..., low] * (1 - share) + rows[..., high] * share


@torch.no_grad()
def test_simple_decoder() -> None:
    """ViTPose: ReLU, then four times as large, then a 3x3 convolution that keeps the size."""
    built = model(encoder(), type="simple")
    weight, bias = (built.head.get_parameter(f"final_layer.{n}") for n in ("weight", "bias"))
    assert weight.shape[2:] == (3, 3)
    assert sum(p.numel() for p in built.head.parameters()) == weight.numel() + bias.numel()
    (*_, last) = built.backbone(IMAGES)
    assert (last < 0).any(), "else the ReLU would not show"
    padded = functional.pad(enlarged(last.clamp(min=0), 4), (1, 1, 1, 1))
    windows = padded.unfold(2, 3, 1).unfold(3, 3, 1)
    expected = torch.einsum("bcyxij,kcij->bkyx", windows, weight) + bias[:, None, None]
    assert expected.shape[2:] == (32, 32)
    found = built.maps(built.backbone(IMAGES)[-1])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_fixed_norm() -> None:
    """Every cell's channels are brought to mean 0 and variance 1; nothing of it is trained."""
    backbone = swinv2()
    built, plain = model(backbone, norm="fixed"), model(backbone)
    names = {name for name, _ in built.named_parameters()}
    assert names == {name for name, _ in plain.named_parameters()}
    seen: list[Tensor] = []
    built.head.register_forward_pre_hook(lambda _, given: seen.append(given[0][-1]))
    built.maps(built.backbone(IMAGES)[-1])
    (*_, last) = backbone(IMAGES)
    centred = last - last.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)
    assert (seen[0] - last).abs().max() > 0.1, "else the norm would not show"


@pytest.mark.parametrize("name", ["encoder.norm.weight", "encoder.norm.bias"])
def test_the_encoders_own_last_norm_is_not_trained(name: str) -> None:
    assert not model(swinv2(), norm="fixed").backbone.get_parameter(name).requires_grad


def test_the_recipe_for_swinv2_has_it() -> None:
    assert recipe("paper-swinv2").head.norm == "fixed" and recipe("paper").head.norm == "none"
