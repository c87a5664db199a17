"""The settings of masked image modelling."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tasks.recipe import FREE, Colour, Count, DataRecipe, Fraction, Positive, Section, TaskRecipe

MAE_STYLE = {"init": "mae", "pool": "mean_fc_norm", "position_resize": "bicubic"}
"""What MAE's plain ViT has in other ways than timm's (models_mae.py, models_vit.py)."""


class EncoderRecipe(Section):
    """The architecture that is trained from scratch, with its decoder."""

    family: str = Field(
        "beit", description="`beit`: SimMIM's ViT and decoder, `vit`: MAE's; or another family"
    )
    start: Path | None = Field(
        None,
        description="an encoder file with its decoder to go on from; a new one if not given",
        # Its hash is part of the cell's identity, wherever it lies.
        json_schema_extra=FREE,
    )
    patch_size: Count = 16
    embed_dim: Count
    depth: Count
    num_heads: Count
    mlp_hidden: Count | None = Field(None, description="4 x embed_dim, if not given")
    mean: Colour = Field((0.485, 0.456, 0.406), description="of red, green and blue in [0,1]")
    std: Colour = Field((0.229, 0.224, 0.225), description="likewise")
    decoder_embed_dim: Count | None = Field(None, description="width of MAE's decoder")
    decoder_depth: Count | None = Field(None, description="blocks of MAE's decoder")
    decoder_num_heads: Count | None = Field(None, description="heads of MAE's decoder")


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


class AugmentationRecipe(Section):
    """A random part of the image, brought to the input size, and its mirror image."""

    scale: tuple[Fraction, Fraction] = Field((0.67, 1.0), description="share of the area kept")
    ratio: tuple[Positive, Positive] = Field((3 / 4, 4 / 3), description="width over height")
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    flip: Fraction = Field(0.5, description="probability of the mirror image")


class PretrainingData(DataRecipe):
    """How many images of the world; a folder of `images` has all that lie in it."""

    name: Literal["microworld", "images"] = "microworld"

    training: Count = Field(16384, description="scenes of microworld's pre-training range")
    selection: Count = Field(512, description="scenes of its selection range")
    test: Count = Field(512, description="scenes of its test range")
    seed: int = Field(0, description="seed of the world")


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
        if self.protocol != "finetune":
            raise ValueError("pre-training moves the encoder: `protocol` must be `finetune`")
        self._check_backbone()
        self._check_mask()
        return self

    def _check_backbone(self) -> None:
        if self.backbone.drop_last:
            raise ValueError("pre-training has no blocks to drop: lower `encoder.depth` instead")
        if self.encoder.start is None and (given := self.backbone.arch()):
            raise ValueError(
                f"`backbone.{next(iter(given))}` is for files; the new encoder's architecture is "
                "under `encoder`"
            )

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

    def architecture(self) -> dict[str, Any]:
        """What `backbones.create` is told of the encoder and its decoder."""
        given = self.encoder.model_dump(
            exclude={"family", "start", "mean", "std"}, exclude_none=True
        )
        return MAE_STYLE | given if self.encoder.family == "vit" else given
