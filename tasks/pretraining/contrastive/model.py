"""An encoder that learns to know an image again (MoCo v3: Chen et al. 2021, algorithm 1)."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.contract import RecipeError, Row, Term
from tasks.model import TaskModel

if TYPE_CHECKING:
    from backbones import Backbone
    from tasks.pretraining.contrastive.recipe import ContrastiveRecipe

PATCHES = "encoder.patch_embed."


class Contrast(TaskModel):
    """Encoder, projector and predictor, and a second encoder and projector that follow as a moving
    average. What is pooled of one view has to find that of the other among those of the batch.

    Batches hold `image` and `other` (B,3,H,W) uint8. `loss` is called once a step: it is what moves
    the second encoder.
    """

    backbone: Backbone
    steps: Tensor

    def __init__(self, backbone: Backbone, recipe: ContrastiveRecipe) -> None:
        super().__init__(backbone)
        settings, width = recipe.contrast, backbone.pooled_width
        self.recipe = settings
        self.total = recipe.train.steps or 1
        still = backbone.unused_names("pooled")
        if settings.freeze_patches:
            still |= _patches(backbone)
        for name in still:
            backbone.get_parameter(name).requires_grad_(False)
        self.projector = mlp((width, settings.hidden, settings.hidden, settings.dim))
        self.predictor = mlp((settings.dim, settings.hidden, settings.dim))
        self.follower = _follower(backbone, self.projector)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def initialise(self, seed: int) -> None:
        """Draw projector and predictor by torch's own rule; the follower begins as a copy."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in (*self.projector, *self.predictor):
                if isinstance(module, nn.Linear | nn.BatchNorm1d):
                    module.reset_parameters()
        self.follower = _follower(self.backbone, self.projector)

    def loss(self, batch: dict[str, Any]) -> dict[str, Term]:
        views = self.pixels(batch), batch["other"].float() / 255
        self._follow()
        queries = [self.predictor(self.projector(self.backbone.pooled(view))) for view in views]
        with torch.no_grad():
            backbone, projector = self.follower
            keys = [projector(cast("Backbone", backbone).pooled(view)) for view in views]
        temperature = self.recipe.temperature
        both = info_nce(queries[0], keys[1], temperature) + info_nce(
            queries[1], keys[0], temperature
        )
        return {"contrast": Term(both, torch.tensor(len(views[0])))}

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the second encoder: m x itself + (1 - m) x the first, m from `momentum` to 1."""
        share = self.steps.item() / self.total
        m = 1 - (1 - self.recipe.momentum) * (1 + math.cos(math.pi * share)) / 2
        leader = [*self.backbone.parameters(), *self.projector.parameters()]
        for behind, ahead in zip(self.follower.parameters(), leader, strict=True):
            behind.lerp_(ahead, 1 - m)
        self.steps += 1

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        return features(self.backbone, batch)


class Indifferent(TaskModel):
    """The control: every view looks the same."""

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        same = torch.ones(len(batch["index"]), 1)
        return rows(batch, same, same)


class Pixels(TaskModel):
    """What is known again without any learning: the colours of a coarse grid, less their mean."""

    GRID = 8

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        coarse = [
            functional.adaptive_avg_pool2d(batch[key].float() / 255, self.GRID).flatten(1)
            for key in ("image", "other")
        ]
        first, second = (each - each.mean(dim=1, keepdim=True) for each in coarse)
        return rows(batch, first, second)


def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """The summed cross-entropy of finding each query's key among all, times twice the temperature
    (MoCo v3, algorithm 1).

    Args:
        queries, keys: (B,D), of any length.
        temperature: that cosines are divided by.
    """
    cosines = functional.normalize(queries.float()) @ functional.normalize(keys.float()).T
    labels = torch.arange(len(queries), device=queries.device)
    total = functional.cross_entropy(cosines / temperature, labels, reduction="sum")
    return 2 * temperature * total


def mlp(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers, each followed by a batch norm, of which the last one only normalises; ReLU
    between them. Batch norms keep no averages: nothing but training uses them."""
    layers: list[nn.Module] = []
    for k, (before, after) in enumerate(pairwise(widths)):
        last = k == len(widths) - 2
        norm = nn.BatchNorm1d(after, affine=not last, track_running_stats=False)
        layers += [nn.Linear(before, after, bias=False), norm]
        layers += [] if last else [nn.ReLU()]
    return nn.Sequential(*layers)


def features(backbone: Backbone, batch: dict[str, Any]) -> list[Row]:
    """The rows of a batch by what an encoder pools of its two views."""
    first, second = TaskModel.pixels(batch), batch["other"].float() / 255
    return rows(batch, backbone.pooled(first).float(), backbone.pooled(second).float())


def rows(batch: dict[str, Any], first: Tensor, second: Tensor) -> list[Row]:
    """One row a sample: the features of its two views."""
    return [
        {"sample": sample, "feature": one, "other": two}
        for sample, one, two in zip(
            batch["index"].tolist(), first.tolist(), second.tolist(), strict=True
        )
    ]


def _follower(backbone: Backbone, projector: nn.Sequential) -> nn.ModuleList:
    follower = nn.ModuleList([copy.deepcopy(backbone), copy.deepcopy(projector)])
    return follower.requires_grad_(False)


def _patches(backbone: Backbone) -> set[str]:
    """The parameters of the patch embedding, which MoCo v3 leaves random (section 4.2)."""
    names = {name for name, _ in backbone.named_parameters() if name.startswith(PATCHES)}
    if not names:
        raise RecipeError(
            "this encoder has no patch embedding: set `contrast.freeze_patches` to false"
        )
    return names
