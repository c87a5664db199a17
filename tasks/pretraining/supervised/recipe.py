"""The settings of supervised pre-training."""

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
from tasks.recipe import LATER, Section, TaskRecipe


class ClassifierRecipe(Section):
    """How classes are told apart."""

    pool: Literal["class_token", "mean_fc_norm"] = Field(
        "mean_fc_norm", description="what the classifier sees"
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="probability given to all classes alike (Szegedy et al. 2016)"
    )
    init_scale: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="factor of the classifier's first values; 0.001 in BEiT's fine-tuning",
        json_schema_extra=LATER,
    )
    views: Literal[1, 2] = Field(
        1, description="views of an image in one step of training (Hoffer et al. 2020)"
    )


class SupervisedRecipe(TaskRecipe):
    """Everything that determines a supervised encoder, but for the run's seed."""

    encoder: EncoderRecipe
    classifier: ClassifierRecipe = ClassifierRecipe.model_validate({})
    augmentation: AugmentationRecipe = AugmentationRecipe.model_validate({})
    data: WorldData

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        check_new(self.backbone, self.encoder, self.protocol)
        check_no_decoder(self.encoder)
        return self

    def architecture(self, classes: int) -> dict[str, Any]:
        """What `backbones.create` is told of the encoder and its classifier."""
        head = {"pool": self.classifier.pool, "num_classes": classes}
        return self.encoder.architecture() | head
