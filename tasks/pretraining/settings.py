"""The settings that all objectives of pre-training share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tasks.recipe import FREE, LATER, Colour, Count, DataRecipe, Fraction, Positive, Section

if TYPE_CHECKING:
    from tasks.recipe import BackboneRecipe

MAE_STYLE = {"init": "mae", "pool": "mean_fc_norm", "position_resize": "bicubic"}
"""What MAE's plain ViT has in other ways than timm's (models_mae.py, models_vit.py)."""


class EncoderRecipe(Section):
    """The architecture that is trained from scratch, with its decoder."""

    family: str = Field("beit", description="`beit`: SimMIM's ViT, `vit`: MAE's; or another family")
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
    decoder_embed_dim: Count | None = Field(
        None, description="width of MAE's decoder; SimMIM's decoder if not given"
    )
    decoder_depth: Count | None = Field(None, description="blocks of MAE's decoder")
    decoder_num_heads: Count | None = Field(None, description="heads of MAE's decoder")

    def architecture(self) -> dict[str, Any]:
        """What `backbones.create` is told of the encoder and its decoder."""
        given = self.model_dump(exclude={"family", "start", "mean", "std"}, exclude_none=True)
        return MAE_STYLE | given if self.family == "vit" else given


class AugmentationRecipe(Section):
    """A random part of the image, brought to the input size, and its mirror image."""

    scale: tuple[Fraction, Fraction] = Field((0.67, 1.0), description="share of the area kept")
    ratio: tuple[Positive, Positive] = Field((3 / 4, 4 / 3), description="width over height")
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    flip: Fraction = Field(0.5, description="probability of the mirror image")
    centre: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="share of each side that is looked at, around the middle; in evaluation too",
        json_schema_extra=LATER,
    )


class ImageCounts(DataRecipe):
    """How many images of the world."""

    training: Count = Field(16384, description="images of microworld's pre-training range")
    selection: Count = Field(512, description="images of its selection range")
    test: Count = Field(512, description="images of its test range")
    seed: int = Field(0, description="seed of the world")


class WorldData(ImageCounts):
    """The world and nothing else."""

    name: Literal["microworld"] = "microworld"


def check_new(backbone: BackboneRecipe, encoder: EncoderRecipe, protocol: str) -> None:
    """Refuse settings that pre-training would ignore.

    Raises:
        ValueError: for the recipe's validation.
    """
    if protocol != "finetune":
        raise ValueError("pre-training moves the encoder: `protocol` must be `finetune`")
    if backbone.drop_last:
        raise ValueError("pre-training has no blocks to drop: lower `encoder.depth` instead")
    if encoder.start is None and (given := backbone.arch()):
        raise ValueError(
            f"`backbone.{next(iter(given))}` is for files; the new encoder's architecture is "
            "under `encoder`"
        )


def check_no_decoder(encoder: EncoderRecipe) -> None:
    """Refuse what only masked image modelling has.

    Raises:
        ValueError: for the recipe's validation.
    """
    for name in ("start", "decoder_embed_dim", "decoder_depth", "decoder_num_heads"):
        if getattr(encoder, name) is not None:
            raise ValueError(f"`encoder.{name}` is for masked image modelling: leave it out")
