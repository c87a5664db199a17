"""Networks are built without drawing what is overwritten anyway."""

import pytest
import torch
from torch import nn

import backbones
from backbones.undrawn import undrawn


def test_nothing_is_drawn_inside_and_everything_outside():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with undrawn():
        layer = nn.Linear(64, 64)
        nn.init.constant_(layer.weight, 3.0)
        nn.init.kaiming_uniform_(layer.weight)
        nn.init.normal_(layer.weight)
        layer.weight.data.uniform_()
        norm = nn.LayerNorm(8)
        torch.rand(3)
    assert torch.equal(layer.weight, torch.full((64, 64), 3.0))
    # What is set, not drawn, is set.
    assert torch.equal(norm.weight, torch.ones(8)) and torch.equal(norm.bias, torch.zeros(8))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(nn.Linear(64, 64).weight, nn.Linear(64, 64).weight)


@pytest.mark.parametrize("family", ["vit", "beit", "swin", "swinv2"])
def test_every_parameter_of_a_new_encoder_is_filled(family, monkeypatch):
    """Whatever lay in the memory that its parameters were given: here, no numbers at all."""
    made = torch.empty

    def poisoned(*args, **kwargs):
        fresh = made(*args, **kwargs)
        return fresh.fill_(float("nan")) if fresh.is_floating_point() else fresh

    monkeypatch.setattr(torch, "empty", poisoned)
    depth = {"depth": 2} if family in ("vit", "beit") else {"depths": [1, 1, 1, 1]}
    heads = {"num_heads": 3} if family in ("vit", "beit") else {"num_heads": [1, 2, 4, 8]}
    window = {} if family in ("vit", "beit") else {"window_size": 4}
    arch = {"patch_size": 4, "embed_dim": 24, **depth, **heads, **window}
    encoder = backbones.create(family, arch, 64, seed=0)
    assert all(parameter.isfinite().all() for parameter in encoder.parameters())
    assert all(buffer.isfinite().all() for buffer in encoder.buffers())
