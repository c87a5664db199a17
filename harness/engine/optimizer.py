"""Which parameter is trained at which rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import AdamW

from backbones import decays

if TYPE_CHECKING:
    from tasks.model import TaskModel
    from tasks.recipe import TaskRecipe


@dataclass(frozen=True)
class Placement:
    """Where a parameter stands: its layer, the factor on its rate, and whether it decays."""

    layer: int
    scale: float
    decays: bool


def placements(model: TaskModel, recipe: TaskRecipe) -> dict[str, Placement]:
    """Layer number, learning-rate factor decay^(last - layer) and weight decay of every trained
    parameter (BEiT, section A.1; the numbering is the named publication's)."""
    rule = recipe.optimizer.layer_rule
    backbone = model.backbone
    last = 0 if backbone is None else backbone.last_layer_of(rule)
    layers = model.head_layer_ids(last)
    spared: set[str] = set()
    if backbone is not None:
        layers |= {f"backbone.{name}": n for name, n in backbone.layer_ids(rule).items()}
        spared = {f"backbone.{name}" for name in backbone.no_decay_names(rule)}
    return {
        name: Placement(
            layer=layers[name],
            scale=recipe.optimizer.layer_decay ** (last - layers[name]),
            decays=name not in spared and decays(name, parameter.ndim, rule),
        )
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def build(model: TaskModel, recipe: TaskRecipe) -> AdamW:
    """AdamW over groups of equal placement; each group carries its `scale`."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    parameters = dict(model.named_parameters())
    for name, place in placements(model, recipe).items():
        groups.setdefault((place.scale, place.decays), []).append(parameters[name])
    decay = recipe.optimizer.weight_decay
    arguments: list[dict[str, Any]] = [
        {"params": members, "scale": scale, "weight_decay": decay if decays else 0.0}
        for (scale, decays), members in sorted(groups.items(), key=lambda item: item[0])
    ]
    return AdamW(arguments, lr=recipe.optimizer.lr, betas=recipe.optimizer.betas)
