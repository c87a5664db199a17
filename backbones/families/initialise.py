"""Published initialisations, drawn from a generator of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Fill = Callable[[Tensor], object]


def generator(seed: int) -> torch.Generator:
    """Return a generator on the CPU; draws are the same whatever device the model is on."""
    return torch.Generator().manual_seed(seed)


def trunc_normal(random: torch.Generator, std: float, bound: float) -> Fill:
    """Normal with the given standard deviation, truncated at +-`bound`, drawn by inversion.

    torch's own draws again until all lie inside, which takes a minute for a ViT-B at one deviation.
    """
    spread = std * 2**0.5
    edge = math.erf(bound / spread)
    return lambda t: t.uniform_(-edge, edge, generator=random).erfinv_().mul_(spread)


def normal(random: torch.Generator, std: float) -> Fill:
    """Normal with the given standard deviation."""
    return lambda t: nn.init.normal_(t, std=std, generator=random)


def xavier(random: torch.Generator) -> Fill:
    """Glorot's uniform, a convolution taken as the matrix that it is."""
    return lambda t: nn.init.xavier_uniform_(t.view(len(t), -1), generator=random)


def xavier_normal(random: torch.Generator) -> Fill:
    """Glorot's normal."""
    return lambda t: nn.init.xavier_normal_(t, generator=random)


def torch_uniform(random: torch.Generator, fan_in: int) -> Fill:
    """torch's own for linear layers and convolutions: uniform within 1/sqrt(fan_in)."""
    bound = fan_in**-0.5
    return lambda t: nn.init.uniform_(t, -bound, bound, generator=random)


def constant(value: float) -> Fill:
    """One value everywhere."""
    return lambda t: nn.init.constant_(t, value)


def table(values: Tensor) -> Fill:
    """Given values."""
    return lambda t: t.copy_(values)


@torch.no_grad()
def fill(
    model: nn.Module,
    linear: Fill,
    convolution: Fill | None,
    special: Mapping[str, Fill],
    random: torch.Generator,
) -> None:
    """Fill every parameter: norms with 1 and 0, biases with 0, the rest as said.

    Args:
        model: whose parameters are filled, in the order of their names in the model.
        linear: for weights of linear layers.
        convolution: for weights of convolutions, their biases being 0; None for torch's own rule
            for both.
        special: name of a parameter -> how it is filled, before all else.
        random: for torch's own rule.

    Raises:
        RuntimeError: a parameter that no rule covers.
    """
    for owner, module in model.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            name = f"{owner}.{leaf}".lstrip(".")
            rule = special.get(name) or _by_module(module, leaf, linear, convolution, random)
            if rule is None:
                raise RuntimeError(f"no initialisation is known for {name}")
            value = torch.empty(parameter.shape)
            rule(value)
            parameter.copy_(value)


def _by_module(
    module: nn.Module, leaf: str, linear: Fill, convolution: Fill | None, random: torch.Generator
) -> Fill | None:
    if isinstance(module, nn.LayerNorm):
        return constant(1.0 if leaf == "weight" else 0.0)
    if isinstance(module, nn.Linear):
        return linear if leaf == "weight" else constant(0.0)
    if isinstance(module, nn.Conv2d):
        if convolution is None:
            return torch_uniform(random, module.weight[0].numel())
        return convolution if leaf == "weight" else constant(0.0)
    return None
