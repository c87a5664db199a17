"""The settings of contrastive pre-training."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tasks.pretraining.settings import (
    AugmentationRecipe,
    EncoderRecipe,
    WorldData,
    check_new,
    check_no_decoder,
)
from tasks.recipe import Beta, Count, Fraction, Positive, Section, TaskRecipe


class ColourRecipe(Section):
    """How the colours of a view are changed; see `tasks.pretraining.contrastive.colours`."""

    jitter: Fraction = Field(0.8, description="probability of the next four")
    brightness: Fraction = Field(0.4, description="factor in 1 - x to 1 + x")
    contrast: Fraction = Field(0.4, description="likewise")
    saturation: Fraction = Field(0.2, description="likewise")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(0.1, description="turn in -x to x")
    grey: Fraction = Field(0.2, description="probability of no colour")
    blur: tuple[Fraction, Fraction] = Field(
        (1.0, 0.1), description="probability of a Gaussian blur, in the first and the second view"
    )
    blur_deviation: tuple[Positive, Positive] = Field((0.1, 2.0), description="in pixels")
    solarize: tuple[Fraction, Fraction] = Field(
        (0.0, 0.2), description="probability of inverted highlights, in the first and second view"
    )


class ContrastRecipe(Section):
    """MoCo v3's networks beside the encoder, and its loss (Chen et al. 2021, section 4)."""

    hidden: Count = Field(description="width inside of the projector and the predictor")
    dim: Count = Field(description="width of what is compared")
    temperature: Positive = 0.2
    momentum: Beta = Field(0.99, description="of the second encoder; goes to 1 by a cosine")
    pool: Literal["class_token", "mean_fc_norm"] = Field(
        "mean_fc_norm", description="what is compared of a view"
    )
    freeze_patches: bool = Field(True, description="whether the patch embedding stays random")


class ContrastiveRecipe(TaskRecipe):
    """Everything that determines a contrastive encoder, but for the run's seed."""

    encoder: EncoderRecipe
    contrast: ContrastRecipe
    augmentation: AugmentationRecipe = AugmentationRecipe.model_validate({})
    colours: ColourRecipe = ColourRecipe.model_validate({})
    data: WorldData

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        check_new(self.backbone, self.encoder, self.protocol)
        check_no_decoder(self.encoder)
        if self.backbone.drop_path:
            raise ValueError(
                "the second encoder knows no drop path: leave `backbone.drop_path` out"
            )
        if self.train.batch_size < 2:
            raise ValueError("one image has nothing to be told from: raise `train.batch_size`")
        if self.train.steps is None:
            raise ValueError("the momentum goes by steps: give `train.steps`, not epochs")
        return self

    def architecture(self) -> dict[str, Any]:
        """What `backbones.create` is told of the encoder."""
        return self.encoder.architecture() | {"pool": self.contrast.pool}
