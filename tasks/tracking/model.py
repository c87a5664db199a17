"""An encoder with SwinTrack's fusion."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from backbones.droppath import SampleKeys
from backbones.resizing import at_size
from tasks.tracking.fusion import features
from tasks.tracking.fusion.network import Fusion, Heads
from tasks.tracking.labels import shares, touched
from tasks.tracking.losses import losses
from tasks.tracking.matching import Matcher, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbones import Backbone
    from tasks.contract import Term
    from tasks.tracking.recipe import TrackingRecipe


class SwinTrackModel(Matcher):
    """Template and search image through one encoder, their tokens through the fusion, then a score
    and a box for each cell of the search image (Lin et al. 2022, LitingLin/SwinTrack).

    Batches for `loss`: `template` (B,3,h,w) and `image` (B,3,H,W) uint8, `box` (B,4) x1 y1 x2 y2 of
    the target in pixels of the search image.

    Raises:
        RecipeError: a hierarchical encoder has no map of the stride asked for.
        LoadError: the encoder cannot run at the template's size.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, recipe: TrackingRecipe) -> None:
        super().__init__(backbone)
        self.recipe = recipe
        self._number = features.chosen(backbone, recipe.model.stride)
        self._for_template = at_size(backbone, recipe.crop.template_size)
        width, self.stride = backbone.feature_info[-1 if self._number is None else self._number]
        sizes = recipe.crop.template_size, backbone.input_size
        template, self.grid = (features.grid(size, self.stride) for size in sizes)
        # A hierarchical encoder's map comes without norm.
        self.norm = nn.Identity() if self._number is None else nn.LayerNorm(width)
        dim = recipe.model.dim
        self.from_template, self.from_search = (
            nn.Linear(width, dim) if width != dim else nn.Identity() for _ in range(2)
        )
        self._keys = SampleKeys()
        self.fusion = Fusion(template, self.grid, recipe.model, self._keys)
        self.heads = Heads(dim, recipe.model.centre == "cell")
        if recipe.protocol == "finetune":
            for name in features.unused(backbone, self._number):
                backbone.get_parameter(name).requires_grad_(False)

    def template(self, images: Tensor) -> Tensor:
        """Tokens (B,N,dim) of templates (B,3,h,w) in [0,1]."""
        found: Tensor = self.from_template(self._tokens(self._for_template, images))
        return found

    def match(self, template: Tensor, images: Tensor) -> Response:
        search = self.from_search(self._tokens(self.backbone, images))
        found: Response = self.heads(self.fusion(template, search), self.grid)
        return found

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        with self.fusion.encoder_positions.held(), self.fusion.decoder_positions.held():
            yield

    def loss(self, batch: dict[str, Any]) -> dict[str, Term]:
        template = self.template(batch["template"].float() / 255)
        response = self.match(template, self.pixels(batch))
        positive = touched(batch["box"], self.grid, self.stride)
        target = shares(batch["box"], self.backbone.input_size)
        with torch.autocast(positive.device.type, enabled=False):
            return losses(response, positive, target, self.recipe.loss)

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Weights, tables and places normal (SwinTrack's truncates at 100 deviations, which never
        bites), biases 0, norms 1."""
        std = self.recipe.model.init_std
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if name.startswith("backbone."):
                continue
            if parameter.ndim > 1:
                drawn = torch.empty(parameter.shape).normal_(std=std, generator=generator)
                parameter.copy_(drawn)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)

    def set_sample_keys(self, keys: Tensor) -> None:
        super().set_sample_keys(keys)
        self._keys.values = keys

    def set_progress(self, share: float) -> None:
        self.fusion.set_progress(share)

    def _tokens(self, encoder: features.Encoder, images: Tensor) -> Tensor:
        trained = torch.is_grad_enabled() and self.recipe.protocol == "finetune"
        with torch.set_grad_enabled(trained):
            tokens = features.read(encoder, images, self._number)
        normed: Tensor = self.norm(tokens)
        return normed
