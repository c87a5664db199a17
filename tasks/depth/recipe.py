"""The settings of depth estimation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.recipe import FREE, Count, DataRecipe, Fraction, Positive, Section, TaskRecipe

Crop = Literal["none", "nyu_eigen", "kitti_eigen", "kitti_garg", "kitti_benchmark"]
Trap = Literal["published", "corrected"]


class SplitCounts(Section):
    """Scenes of microworld in each split."""

    training: Count = 1024
    selection: Count = 192
    test: Count = 256


class SplitLists(Section):
    """A list of image and depth files for each split, a path below the root or an absolute one."""

    training: str
    selection: str | None = None
    test: str


class DepthData(DataRecipe):
    """Which images, and where their depth is."""

    name: Literal["microworld", "nyuv2", "kitti", "folder"] = "microworld"
    count: SplitCounts = SplitCounts.model_validate({})
    size: tuple[Count, Count] = Field((128, 128), description="microworld: height, width")
    seed: int = Field(0, description="microworld: seed of the world")
    lists: SplitLists | None = Field(
        None,
        description="lines of image, depth and whatever, paths below the root; the official ones "
        "where left out",
    )
    unit: Positive | None = Field(
        None, description="folder: numbers of a PNG a metre, as 1000 for millimetres"
    )
    held_out: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1,
        description="share of the training images, in whole folders (rooms, drives), that are the "
        "selection split where there is none",
    )
    held_out_seed: int = Field(0, description="which ones")
    join_selection: bool = Field(
        False, description="train on the selection split too, where nothing is chosen by it"
    )
    missing_truth: Literal["refuse", "count"] = Field(
        "refuse",
        description="images whose depth map is not there or has no pixel that can be used: refused "
        "when they are met, or looked for in all maps when a split is opened, left out and counted",
    )
    partial: bool = Field(
        False,
        description="take other images than were published, or test images in training: lists are "
        "not compared, what is shared is noted",
    )
    workers: Annotated[int, Field(ge=0)] | None = Field(
        None, description="processes that render microworld", json_schema_extra=FREE
    )

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        if self.unit is not None and self.name != "folder":
            raise ValueError(f"`unit` is for the data set folder; that of {self.name} is known")
        if self.lists is not None and self.name == "microworld":
            raise ValueError("microworld has no `lists`")
        return self


class MeasureRecipe(Section):
    """What is measured where: users mix these up, so they are part of the variant's name."""

    split: str = Field("", description="in a word or two, as `654 images`; part of the name")
    crop: Crop = Field("none", description="pixels of the truth that count")
    min_depth: Positive = Field(1e-3, description="truth counts above it, in metres")
    max_depth: Positive = Field(10.0, description="truth counts below it, in metres; the cap")
    convention: Literal["mim_depth", "bts"] = Field(
        "mim_depth", description="whose treatment of predictions out of range, and whose SILog"
    )
    alignment: Literal["none", "median", "scale_shift"] = Field(
        "none",
        description="of a prediction to its truth: none for metric depth; factor of medians; "
        "scale and shift of the inverse depth by least squares",
    )


class HeadRecipe(Section):
    """What is put on the encoder."""

    type: Literal["deconvolution", "dpt", "linear", "multiscale"] = Field(
        "deconvolution",
        description="MIM-Depth-Estimation's on the last map; DPT's on four; for fixed encoders "
        "DINOv2's linear bins on the last map, probe3d's on four",
    )
    filters: tuple[Count, ...] = Field(
        (32, 32, 32), description="deconvolution: channels of each; a plain encoder takes fewer"
    )
    channels: Count = Field(128, description="of the layers after it")
    bins: Count = Field(256, description="linear, multiscale: depths among which is averaged")
    init_std: Positive = Field(1e-3, description="deconvolution: of all weights; others: torch's")
    reach: tuple[Positive, Positive] | None = Field(
        None,
        description="nearest and farthest depth of the network in metres, whatever range is "
        "measured later; that of `measure` at training where left out",
    )

    @field_validator("reach")
    @classmethod
    def _ordered(cls, found: tuple[float, float] | None) -> tuple[float, float] | None:
        if found is not None and found[0] >= found[1]:
            raise ValueError("the nearest depth comes first")
        return found


class LossRecipe(Section):
    """SILog: sqrt(mean d^2 - share * mean(d)^2) with d = ln g - ln p over all valid pixels."""

    share: Fraction = 0.5
    floor: Annotated[float, Field(ge=0)] = Field(
        0.0, description="added to the variance: the root has no gradient at 0"
    )
    min_depth: Annotated[float, Field(ge=0)] = Field(
        0.0, description="truth is trained on above it"
    )


class AugmentationRecipe(Section):
    """In the order of MIM-Depth-Estimation's code; probabilities of 0 leave a step out."""

    cutdepth: Fraction = Field(
        0.0,
        description="share of samples with vertical CutDepth, drawn for each; published: every "
        "fourth of a loader's worker, which no seed decides",
    )
    cutdepth_share: Fraction = Field(0.75, description="largest share of the width that it covers")
    cutdepth_paste: Trap = Field(
        "corrected",
        description="published: the stored depth modulo 256; corrected: scaled to 0 to 255",
    )
    flip: Fraction = 0.5
    crop: Literal["random", "centre", "none"] = Field(
        "random",
        description="of the input's size, where `test.size` is larger; none: the whole image at "
        "the input's size",
    )
    brightness_contrast: Fraction = 0.0
    brightness: Fraction = 0.2
    contrast: Fraction = 0.2
    gamma: Fraction = 0.0
    gamma_range: tuple[Count, Count] = Field((80, 120), description="in per cent, whole numbers")
    hue_saturation: Fraction = 0.0
    hue: Annotated[int, Field(ge=0, le=90)] = Field(20, description="of 180")
    saturation: Annotated[int, Field(ge=0, le=255)] = 30
    value: Annotated[int, Field(ge=0, le=255)] = 20

    @field_validator("gamma_range")
    @classmethod
    def _ordered(cls, found: tuple[int, int]) -> tuple[int, int]:
        if found[0] > found[1]:
            raise ValueError("the smaller number comes first")
        return found

    @property
    def moves(self) -> bool:
        """Whether training changes an image as a whole, its crop aside."""
        shares = (
            self.cutdepth,
            self.flip,
            self.brightness_contrast,
            self.gamma,
            self.hue_saturation,
        )
        return any(shares)


class TestRecipe(Section):
    """How evaluation looks at an image."""

    size: tuple[Count, Count] | None = Field(
        None,
        description="height, width that images are brought to, before training crops them; the "
        "input's where left out",
    )
    windows: Count = Field(1, description="square windows side by side over the width")
    uncovered: Trap = Field(
        "corrected",
        description="columns that no window covers, (W-H) % (windows-1) of them: published: 1e-3 "
        "m; corrected: one more window at the right edge",
    )
    flip: bool = Field(True, description="average with the mirrored image's")


class PredictionsRecipe(Section):
    """What is stored of each prediction, and what is measured."""

    keep: Literal["float32", "uint16", "valid"] = Field(
        "uint16",
        description="every pixel as predicted; every pixel rounded to a 65535th of the largest "
        "depth, before it is measured; as predicted, but only where the truth counts",
    )


class DepthRecipe(TaskRecipe):
    """Everything that determines a depth result."""

    task: Literal["depth"] = "depth"
    data: DepthData
    measure: MeasureRecipe = MeasureRecipe.model_validate({})
    head: HeadRecipe = HeadRecipe.model_validate({})
    normalise: Literal["encoder", "none"] = Field(
        "encoder", description="images by the encoder's mean and deviation, or in [0,1] as they are"
    )
    loss: LossRecipe = LossRecipe.model_validate({})
    augmentation: AugmentationRecipe = AugmentationRecipe.model_validate({})
    test: TestRecipe = TestRecipe.model_validate({})
    predictions: PredictionsRecipe = PredictionsRecipe.model_validate({})

    @property
    def reach(self) -> tuple[float, float]:
        """The nearest and the farthest depth of the network in metres."""
        return self.head.reach or (self.measure.min_depth, self.measure.max_depth)

    @model_validator(mode="after")
    def _range(self) -> Self:
        measured = self.measure
        if measured.min_depth >= measured.max_depth:
            raise ValueError("`min_depth` must be below `max_depth`")
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        (height, width), seen = self.backbone.input_size, self.test.size
        small = seen is not None and (seen[0] < height or seen[1] < width)
        if small and self.augmentation.crop != "none":
            raise ValueError(
                f"training cannot cut backbone.input_size, {height}x{width} (height x width), out "
                "of `test.size`: enlarge that, or give --set augmentation.crop=none"
            )
        return self
