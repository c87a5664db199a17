"""The settings that every task shares. A task's own recipe adds its sections to these."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from backbones.layer_rules import check_rule

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Colour = tuple[Positive, Positive, Positive]


def _whole(sides: Any) -> Any:
    several = sides if isinstance(sides, list | tuple) else [sides]
    if not several or not all(type(side) is int and side > 0 for side in several):
        raise ValueError("expected a whole number from 1, or one for each stage")
    return sides


Sides = Annotated[int | tuple[int, ...], BeforeValidator(_whole)]


FREE: JsonDict = {"determines": False}
"""Marks a field that does not determine the numbers, so that a cell's identity leaves it out."""

LATER: JsonDict = {"determines": "where set"}
"""Marks a field that came after the first recorded cells: its default is what they were run with,
so that their identity, which knows nothing of it, leaves it out there. A section that some runs do
not look at is marked so, too."""


class Section(BaseModel):
    """A frozen group of settings; an unknown field is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    def identifying(self) -> Self:
        """The form in which the section enters a cell's identity: of settings that follow from the
        encoder the rule, which is the same for all encoders."""
        return self


class BackboneRecipe(Section):
    """How the encoder is built.

    Fields marked `FREE` say of the encoder's file what it does not tell itself: they belong to the
    encoder, as its hash does, and not to what encoders are compared under.
    """

    input_size: tuple[Count, Count] = Field(description="height and width of the input in pixels")
    drop_path: Fraction = Field(0.0, description="stochastic depth at the last block")
    drop_last: Annotated[int, Field(ge=0)] = Field(
        0,
        description="blocks dropped from the end, in encoders with stages from the end of the last "
        "but one",
    )
    drop_mode: Literal["removed", "reinitialised"] = Field(
        "removed",
        description="whether these are left out, or in their place drawn anew from the run's seed",
        json_schema_extra=LATER,
    )
    format: str | None = Field(
        None,
        description="the file's layout, where several fit or a part of it has to be asked for, "
        "as dino_student",
        json_schema_extra=FREE,
    )
    num_heads: Count | None = Field(
        None, description="heads, where neither file nor rule tells", json_schema_extra=FREE
    )
    decoder_num_heads: Count | None = Field(
        None, description="heads of MAE's decoder, likewise", json_schema_extra=FREE
    )
    window_size: Sides | None = Field(
        None,
        description="window of a Swin encoder, one or one a stage, to override; of a plain ViT, to "
        "have ViTDet's (14)",
    )
    global_blocks: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None,
        description="plain ViT in windows: blocks that see the whole map; the last of each quarter "
        "where left out",
        json_schema_extra=LATER,
    )
    rel_pos: bool | None = Field(
        None,
        description="plain ViT in windows: whether its blocks have relative positions",
        json_schema_extra=LATER,
    )
    variant: Literal["swin", "mim_depth"] | None = Field(
        None,
        description="SwinV2: whose code builds it; MIM-Depth-Estimation's has windows that never "
        "shrink, and a final norm of its own",
        json_schema_extra=LATER,
    )
    block_tables: bool | None = Field(
        None,
        description="BEiT family: relative positions of each block's own, begun from the file's "
        "shared ones, as SimMIM and BEiT fine-tune them",
    )
    image_size: tuple[Count, Count] | None = Field(
        None,
        description="of the images in pre-training, where no table of the file tells",
        json_schema_extra=FREE,
    )
    position_resize: (
        Literal["bicubic", "bicubic_antialias", "bicubic_offset", "bilinear_corners"] | None
    ) = Field(None, description="how a position table goes to another size, where no rule tells")
    embed_class: bool | None = Field(
        None,
        description="whether the position table has a row for the class token, likewise",
        json_schema_extra=FREE,
    )
    rope_grid: tuple[Count, Count] | None = Field(
        None,
        description="EVA-02: rows and columns of patches in pre-training, likewise",
        json_schema_extra=FREE,
    )
    reg_tokens: Annotated[int, Field(ge=0)] | None = Field(
        None, description="tokens beside the class token, likewise", json_schema_extra=FREE
    )
    q_pool: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="Hiera: how many stages halve the map, where it is not as in fine-tuning",
        json_schema_extra=FREE,
    )
    act: Literal["gelu", "gelu_tanh", "quick_gelu"] | None = Field(
        None, description="plain ViT: the activation, likewise", json_schema_extra=FREE
    )
    patch_padding: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="plain ViT: pixels by which patches begin outside the image, likewise",
        json_schema_extra=FREE,
    )
    pad_small_maps: bool | None = Field(
        None,
        description="Swin: whether maps smaller than a window are padded to it, likewise",
        json_schema_extra=FREE,
    )
    mean: Colour | None = Field(None, description="of the input in [0,1], where no rule tells")
    std: Colour | None = Field(None, description="likewise")

    def identifying(self) -> Self:
        """As Section says: where no block is dropped, it is all one how."""
        return self if self.drop_last else self.model_copy(update={"drop_mode": "removed"})

    def arch(self) -> dict[str, Any] | None:
        """What overrides the encoder's own architecture, or None."""
        given = self.model_dump(exclude={"input_size", "drop_path", "drop_last", "drop_mode"})
        return {key: value for key, value in given.items() if value is not None} or None

    def told(self) -> dict[str, Any]:
        """What was told of the encoder's file."""
        names = {"format", "num_heads", "decoder_num_heads", "image_size", "embed_class"}
        names |= {"rope_grid", "reg_tokens", "q_pool", "act", "patch_padding", "pad_small_maps"}
        return self.model_dump(mode="json", include=names, exclude_none=True)


class OptimizerRecipe(Section):
    """AdamW, with layer-wise decay of the learning rate after the published rules."""

    lr: Positive = Field(description="peak learning rate of the last layer, as used (not scaled)")
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="factor on the learning rate for each layer further from the output"
    )
    layer_rule: str = Field("simmim", description="which publication numbers the layers")
    clip_norm: Positive | None = Field(None, description="largest norm of the whole gradient")
    rate_factors: dict[str, Positive] = Field(
        {},
        description="end of a parameter's name -> factor on its learning rate",
        json_schema_extra=LATER,
    )

    encoder_factor: Positive = Field(
        1.0, description="factor on the encoder's learning rate", json_schema_extra=LATER
    )
    decay_all: bool = Field(
        False,
        description="weight decay on every parameter, whatever the layer rule spares",
        json_schema_extra=LATER,
    )

    @field_validator("layer_rule")
    @classmethod
    def _known(cls, rule: str) -> str:
        return check_rule(rule)


class ScheduleRecipe(Section):
    """The learning rate as a function of the step, per publication."""

    name: Literal[
        "constant",
        "cosine",
        "cosine_epoch",
        "step",
        "simmim_step",
        "simmim_cosine",
        "swin_cosine",
        "beit_cosine",
        "mim_depth",
    ] = "cosine"
    unit: Literal["step", "epoch"] = Field("step", description="unit of warmup and milestones")
    warmup: Annotated[float, Field(ge=0)] = Field(0.0, description="length of the linear warm-up")
    warmup_factor: Annotated[float, Field(ge=0)] = Field(
        0.0, description="learning rate at the start of the warm-up, as a share of the peak"
    )
    min_factor: Annotated[float, Field(ge=0)] = Field(
        0.0, description="lowest rate of a cosine and of mim_depth, as a share of the peak"
    )
    milestones: tuple[float, ...] = Field((), description="where it is multiplied by gamma")
    gamma: Positive = 0.1


class TrainRecipe(Section):
    """How long, in which batches, and how often the state is written."""

    batch_size: Count = Field(description="samples a step, over all processes together")
    steps: Count | None = Field(None, description="number of steps; or give epochs")
    epochs: Positive | None = Field(None, description="passes over the data; or give steps")
    max_steps: Count | None = Field(
        None, description="end after so many steps; the schedule stays that of the full length"
    )
    state_every: Count = Field(
        100, description="steps between two states for continuing", json_schema_extra=FREE
    )
    drop_last: bool = Field(
        False,
        description="end an epoch before the batch that it cannot fill",
        json_schema_extra=LATER,
    )
    precision: Literal["32", "bf16", "16"] = "32"
    ema: Fraction | None = Field(None, description="decay of averaged weights, if they are kept")

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either `steps` or `epochs`")
        return self


class DataRecipe(Section):
    """Which data. A task adds its own fields."""

    name: str = Field("microworld", description="the data set")
    root: Path | None = Field(
        None, description="folder of the data, for all but microworld", json_schema_extra=FREE
    )
    limit: Count | None = Field(None, description="only the first so many samples of each split")
    fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="share of the training samples that is used, of each class as much",
        json_schema_extra=LATER,
    )
    fraction_seed: Annotated[int, Field(ge=0)] = Field(
        0,
        description="which ones; a smaller share is part of a larger one",
        json_schema_extra=LATER,
    )

    @model_validator(mode="after")
    def _root_is_of_use(self) -> Self:
        if self.root is not None and self.name == "microworld":
            raise ValueError(
                f"microworld needs no files, but a folder is given ({self.root}): name its data "
                "set with --dataset, or leave --data-root out"
            )
        return self


class FeaturesRecipe(Section):
    """How features of a fixed encoder are kept. None of it changes a number beyond rounding."""

    cache: bool = Field(
        True, description="compute them once and keep them; else anew at every visit"
    )
    limit_gb: Positive | None = Field(
        None, description="largest size on disk in GB; HARNESS_FEATURES_LIMIT or 20 by default"
    )
    batch_size: Count = Field(64, description="images that go through the encoder together")


class DynamicsRecipe(Section):
    """How training is watched. None of it changes a number."""

    bins: Count = Field(50, description="equal parts of the steps over which terms are averaged")
    points: Annotated[int, Field(ge=0)] = Field(
        0, description="times at which the loss of held-out samples is taken, without gradient"
    )
    samples: Count = Field(32, description="of the selection split, its first ones")


class TaskRecipe(Section):
    """What every task's recipe has."""

    task: str
    scale: Literal["smoke", "tiny", "paper"]
    source: str = Field(
        "", description="publication or measurement behind the values", json_schema_extra=FREE
    )
    families: tuple[str, ...] | None = Field(
        None,
        description="encoder families that the publication's recipe is for; others are refused",
        json_schema_extra=FREE,
    )
    protocol: Literal["finetune", "frozen"] = "finetune"
    backbone: BackboneRecipe
    data: DataRecipe
    optimizer: OptimizerRecipe
    schedule: ScheduleRecipe
    train: TrainRecipe
    features: FeaturesRecipe = Field(
        FeaturesRecipe.model_validate({}), json_schema_extra=FREE, description="of `frozen`"
    )
    dynamics: DynamicsRecipe = Field(
        DynamicsRecipe.model_validate({}),
        json_schema_extra=FREE,
        description="of training by steps",
    )

    @property
    def evaluation_batch(self) -> int:
        """Samples that are predicted together, in each process."""
        return self.train.batch_size
