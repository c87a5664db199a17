"""The settings of masked image modelling."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.pretraining.settings import (
    AugmentationRecipe,
    EncoderRecipe,
    ImageCounts,
    check_new,
)
from tasks.recipe import Count, Section, TaskRecipe


class MaskRecipe(Section):
    """What is hidden."""

    name: Literal["simmim", "mae"] = Field(
        "simmim", description="hide ceil(n x ratio) units, or keep int(n x (1 - ratio))"
    )
    ratio: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of units hidden")
    unit: Count = Field(description="side of what is hidden as one, in pixels")

    def hidden(self, units: int) -> int:
        """How many of `units` are hidden, as `tasks.pretraining.masks` hides them."""
        if self.name == "simmim":
            return math.ceil(units * self.ratio)
        return units - int(units * (1 - self.ratio))


class ObjectiveRecipe(Section):
    """What the hidden pixels are compared with, and how."""

    target: Literal["raw", "norm47", "norm_pix"] = Field(
        "raw", description="the input, normalised in a 47x47 window, or normalised by patch"
    )
    loss: Literal["l1", "mse"] = "l1"


class PretrainingData(ImageCounts):
    """How many images of the world; a folder of `images` has all that lie in it."""

    name: Literal["microworld", "images"] = "microworld"


class PretrainingRecipe(TaskRecipe):
    """Everything that determines a pre-trained encoder, but for the run's seed."""

    encoder: EncoderRecipe
    mask: MaskRecipe
    objective: ObjectiveRecipe = ObjectiveRecipe.model_validate({})
    augmentation: AugmentationRecipe = AugmentationRecipe.model_validate({})
    data: PretrainingData

    @model_validator(mode="after")
    def _grids_fit(self) -> Self:
        patch, unit = self.encoder.patch_size, self.mask.unit
        if unit % patch:
            raise ValueError(f"`mask.unit` must be a multiple of the patch size {patch}")
        if any(side % unit for side in self.backbone.input_size):
            raise ValueError(f"`backbone.input_size` must be a multiple of `mask.unit` {unit}")
        check_new(self.backbone, self.encoder, self.protocol)
        self._check_mask()
        return self

    def _check_mask(self) -> None:
        (height, width), unit = self.backbone.input_size, self.mask.unit
        units = (height // unit) * (width // unit)
        hidden = self.mask.hidden(units)
        if hidden == units:
            raise ValueError(
                f"`mask.ratio` {self.mask.ratio} hides all {units} units of {height}x{width} "
                "pixels, so that the encoder sees nothing; lower it, or make `mask.unit` smaller"
            )
        if not hidden:
            raise ValueError(
                f"`mask.ratio` {self.mask.ratio} hides none of {units} units of {height}x{width} "
                "pixels, so that there is nothing to fill in; raise it"
            )
