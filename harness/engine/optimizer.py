"""Which parameter is trained at which rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import AdamW

from backbones import decays
from tasks.contract import RecipeError

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
    """Layer number, learning-rate factor and weight decay of every trained parameter.

    The factor is decay^(last - layer) (BEiT, section A.1; the numbering is the named
    publication's), times the recipe's own for the encoder and for the parameter, if it has one.

    Raises:
        RecipeError: a factor of the recipe is for no trained parameter, or two are for one.
    """
    settings = recipe.optimizer
    rule = settings.layer_rule
    backbone = model.backbone
    last = 0 if backbone is None else backbone.last_layer_of(rule)
    layers = model.head_layer_ids(last)
    spared: set[str] = set()
    if backbone is not None:
        layers |= {f"backbone.{name}": n for name, n in backbone.layer_ids(rule).items()}
        spared = {f"backbone.{name}" for name in backbone.no_decay_names(rule)}
    trained = {name: p.ndim for name, p in model.named_parameters() if p.requires_grad}
    factors = _factors(trained, settings.rate_factors)
    return {
        name: Placement(
            layer=layers[name],
            scale=settings.layer_decay ** (last - layers[name])
            * (settings.encoder_factor if name.startswith("backbone.") else 1.0)
            * factors.get(name, 1.0),
            decays=settings.decay_all or (name not in spared and decays(name, ndim, rule)),
        )
        for name, ndim in trained.items()
    }


def _factors(names: Iterable[str], by_end: dict[str, float]) -> dict[str, float]:
    """Return the recipe's own factor of each parameter that has one."""
    found: dict[str, float] = {}
    for end, factor in by_end.items():
        meant = [name for name in names if f".{name}".endswith(f".{end}")]
        if not meant:
            raise RecipeError(
                f"optimizer.rate_factors: no trained parameter's name ends with `{end}`; mend the "
                "name or leave it out"
            )
        if doubled := next((name for name in meant if name in found), None):
            raise RecipeError(f"optimizer.rate_factors: two are for `{doubled}`; leave one out")
        found |= dict.fromkeys(meant, factor)
    return found


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
