"""Published initialisations, drawn from a generator of their own; biases begin at 0."""

from __future__ import annotations

import torch
from torch import nn

WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def xavier(layer: nn.Module, generator: torch.Generator) -> None:
    """Uniform, after Glorot and Bengio 2010."""
    _reset(layer)
    if isinstance(layer, WEIGHTED):
        nn.init.xavier_uniform_(layer.weight, generator=generator)


def kaiming(layer: nn.Module, generator: torch.Generator) -> None:
    """Normal, by the fan out, for ReLU (He et al. 2015)."""
    _reset(layer)
    if isinstance(layer, WEIGHTED):
        nn.init.kaiming_normal_(
            layer.weight, mode="fan_out", nonlinearity="relu", generator=generator
        )


def normal(layer: nn.Module, std: float, generator: torch.Generator) -> None:
    """Normal with a given deviation."""
    _reset(layer)
    if isinstance(layer, WEIGHTED):
        nn.init.normal_(layer.weight, 0, std, generator=generator)


def default(layer: nn.Module, generator: torch.Generator) -> None:
    """torch's: weights and biases uniform in +- 1 / sqrt(fan in)."""
    _reset(layer)
    if isinstance(layer, WEIGHTED):
        fan_in = layer.weight[0].numel()
        for parameter in (layer.weight, layer.bias):
            if parameter is not None:
                nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5, generator=generator)


def _reset(layer: nn.Module) -> None:
    if isinstance(layer, nn.LayerNorm):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    elif isinstance(layer, WEIGHTED) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
