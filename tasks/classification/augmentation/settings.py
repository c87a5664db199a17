"""The settings of augmentation. Nothing is done by default."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.recipe import Count, Fraction, Positive, Section

NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Level = Annotated[float, Field(ge=0, le=10)]
Byte = Annotated[int, Field(ge=0, le=255)]
Interpolation = Literal["bilinear", "bicubic"]


def _ordered(pair: tuple[float, float], name: str) -> None:
    if pair[0] > pair[1]:
        raise ValueError(f"`{name}` is the least and the largest value; got {pair[0]}, {pair[1]}")


class CropRecipe(Section):
    """A random part of the image, brought to the input size (Szegedy et al. 2015, section 6)."""

    scale: tuple[Share, Share] = Field((0.08, 1.0), description="share of the area that is kept")
    ratio: tuple[Positive, Positive] = Field((3 / 4, 4 / 3), description="width over height")

    @model_validator(mode="after")
    def _are_ordered(self) -> Self:
        _ordered(self.scale, "augmentation.crop.scale")
        _ordered(self.ratio, "augmentation.crop.ratio")
        return self


class RandAugmentRecipe(Section):
    """RandAugment (Cubuk et al. 2020) as timm has it; `rand-m9-mstd0.5-inc1` is magnitude 9, std
    0.5, increasing."""

    magnitude: Level = Field(description="strength of the operations, 10 the greatest")
    std: NonNegative = Field(
        0.0, description="of the normal distribution around the magnitude, clipped to [0, 10]"
    )
    increasing: bool = Field(
        False, description="whether every operation grows with the magnitude (timm's inc1)"
    )
    num_layers: Count = Field(2, description="operations drawn an image, with replacement")
    probability: Fraction = Field(0.5, description="that a drawn operation is applied")
    fill: tuple[Byte, Byte, Byte] = Field(
        (124, 116, 104),
        description="colour of what moves in from outside; timm's is the mean of ImageNet",
    )


class ErasingRecipe(Section):
    """Random erasing (Zhong et al. 2020) as timm has it: rectangles of noise."""

    probability: Fraction = Field(description="that an image is erased at all")
    count: Count = Field(
        1, description="largest number of rectangles; one to so many are drawn, and share the area"
    )
    mode: Literal["pixel"] = Field(
        "pixel", description="normal noise of each pixel and channel, of the normalised image"
    )
    area: tuple[Share, Share] = Field((0.02, 1 / 3), description="share of the image")
    ratio: tuple[Positive, Positive] = Field((0.3, 1 / 0.3), description="height over width")

    @model_validator(mode="after")
    def _are_ordered(self) -> Self:
        _ordered(self.area, "augmentation.erasing.area")
        _ordered(self.ratio, "augmentation.erasing.ratio")
        return self


class AugmentationRecipe(Section):
    """What is done to each training image, in this order: crop, flip, RandAugment, erasing."""

    crop: CropRecipe | None = Field(
        None, description="random part of the image; null: the part that test views show"
    )
    interpolation: Interpolation = Field(
        "bicubic", description="of the crop and of RandAugment's geometric operations"
    )
    resampler: Literal["pillow", "torch"] = Field(
        "pillow",
        description="of the crop: the publications', or torch's, which is five times as fast and "
        "differs by 1 of 255 in one value of 400",
    )
    flip: Fraction = Field(0.0, description="probability of the mirror image")
    rand_augment: RandAugmentRecipe | None = Field(None, description="null: left out")
    erasing: ErasingRecipe | None = Field(None, description="null: left out")


class MixRecipe(Section):
    """Mixup (Zhang et al. 2018) or cutmix (Yun et al. 2019), one draw for the whole batch."""

    mixup: NonNegative = Field(
        0.0, description="alpha of the Beta distribution of mixup's share; 0: no mixup"
    )
    cutmix: NonNegative = Field(0.0, description="likewise of cutmix")
    probability: Fraction = Field(1.0, description="that a batch is mixed")
    switch_probability: Fraction = Field(0.5, description="that it is cutmix, where there are both")

    @property
    def active(self) -> bool:
        """Whether any batch is mixed."""
        return self.probability > 0 and (self.mixup > 0 or self.cutmix > 0)
