"""The settings of top-down pose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.recipe import FREE, LATER, Count, DataRecipe, Fraction, Positive, Section, TaskRecipe

NonNegative = Annotated[float, Field(ge=0)]
Cells = Annotated[int, Field(ge=2)]


class SplitFiles(Section):
    """A path for each split, relative to the root."""

    training: str
    selection: str
    test: str


class SplitCounts(Section):
    """Scenes of microworld in each split."""

    training: Count = 2048
    selection: Count = 256
    test: Count = 512


class PoseData(DataRecipe):
    """Which people, and what is known of their joints."""

    name: Literal["microworld", "coco", "crowdpose", "folder"] = "microworld"
    count: SplitCounts = SplitCounts.model_validate({})
    size: tuple[Count, Count] = Field((128, 128), description="microworld: height, width")
    seed: int = Field(0, description="microworld: seed of the world")
    annotations: SplitFiles | None = Field(None, description="COCO keypoint files below the root")
    images: SplitFiles | None = Field(None, description="image folders below the root")
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="share of the training images that are the selection split"
    )
    held_out_seed: int = Field(0, description="which ones")
    area: Literal["annotation", "box"] = Field(
        "annotation", description="scale of OKS: the annotated area, or 0.53 of the box's"
    )
    sigmas: tuple[Positive, ...] | None = Field(
        None, description="OKS constant of each joint, where its names do not tell"
    )
    flip_pairs: tuple[tuple[str, str], ...] | None = Field(
        None, description="joints that change places in the mirror, where names do not tell"
    )
    detections: Path | None = Field(
        None,
        description="test boxes: a COCO detections file; ground-truth boxes if not given",
        # Its hash is in that of the test data, wherever it lies.
        json_schema_extra=FREE,
    )
    skip_unreadable: bool = Field(
        False, description="leave out people whose image is missing or broken, and count them"
    )
    workers: Annotated[int, Field(ge=0)] | None = Field(
        None, description="processes that render microworld", json_schema_extra=FREE
    )

    @model_validator(mode="after")
    def _files_are_named(self) -> Self:
        if self.name == "microworld":
            return self
        if self.annotations is None or self.images is None:
            raise ValueError(f"`data.annotations` and `data.images` are needed for `{self.name}`")
        same = self.annotations.training == self.annotations.selection
        if same != (self.held_out is not None):
            raise ValueError(
                "`data.held_out` is for a selection split taken from the training file: give it "
                "exactly where `annotations.selection` equals `annotations.training`"
            )
        return self


class CodecRecipe(Section):
    """From joints to heat maps and back."""

    type: Literal["udp", "msra"] = Field(
        "udp", description="UDP (Huang et al. 2020), or whole-pixel centres (Xiao et al. 2018)"
    )
    heatmap_size: tuple[Cells, Cells] = Field(description="height and width")
    sigma: Positive = Field(2.0, description="of the Gaussian, in cells of the map")
    blur_kernel: Annotated[int, Field(ge=3)] = Field(
        11, description="of UDP's decoding, in cells, odd"
    )

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.blur_kernel % 2 == 0:
            raise ValueError("`codec.blur_kernel` must be odd")
        return self


class HeadRecipe(Section):
    """What makes one map a joint out of the encoder's last map.

    `deconvolution`: deconvolutions that each double the map, then a 1x1 convolution; as many as
    lead to maps of `codec.heatmap_size`, unless they are listed. `simple`: ReLU, bilinear
    enlargement to the size that they would lead to, a 3x3 convolution (ViTPose).
    """

    type: Literal["deconvolution", "simple"] = Field("deconvolution", json_schema_extra=LATER)
    norm: Literal["none", "fixed"] = Field(
        "none",
        description="fixed: a layer norm without parameters before the head",
        json_schema_extra=LATER,
    )
    loss: Literal["mse", "cross_entropy"] = Field(
        "mse", description="mean squared error of maps, or cross-entropy over the cells of a map"
    )
    channels: Count = Field(
        256, description="of each deconvolution that is not listed", json_schema_extra=FREE
    )
    kernel: Literal[2, 3, 4] = Field(4, description="likewise", json_schema_extra=FREE)
    deconv_channels: tuple[Count, ...] | None = Field(
        None, description="of each deconvolution; null: what the encoder's stride needs"
    )
    deconv_kernels: tuple[Literal[2, 3, 4], ...] | None = Field(None, description="likewise")

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        channels, kernels = self.deconv_channels, self.deconv_kernels
        if (channels is None) != (kernels is None) or len(channels or ()) != len(kernels or ()):
            raise ValueError("`head` needs as many `deconv_kernels` as `deconv_channels`")
        if self.type == "simple" and channels:
            raise ValueError("a `simple` head has no `deconv_channels` and `deconv_kernels`")
        return self

    def identifying(self) -> Self:
        """As for a stride of 16, whose deconvolutions recipes used to list."""
        if self.deconv_channels is not None:
            return self
        return self.with_deconvolutions(2 if self.type == "deconvolution" else 0)

    def with_deconvolutions(self, count: int) -> Self:
        """The same with so many deconvolutions listed."""
        return self.model_copy(
            update={
                "deconv_channels": (self.channels,) * count,
                "deconv_kernels": (self.kernel,) * count,
            }
        )


class JitterRecipe(Section):
    """Reach of each change: factors are in 1 - reach to 1 + reach, the hue is a share of a turn."""

    brightness: Fraction
    contrast: Fraction
    saturation: Fraction
    hue: Annotated[float, Field(ge=0, le=0.5)]


class GridDropoutRecipe(Section):
    """GridMask (Chen et al. 2020), as albumentations has it."""

    probability: Fraction
    unit: tuple[Cells, Cells] = Field(description="least and largest cell of the grid, in pixels")
    ratio: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="side of the black square of a cell, as a share of the cell's"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.unit[0] > self.unit[1]:
            raise ValueError("`grid_dropout.unit` is the least and the largest cell")
        return self


class AugmentationRecipe(Section):
    """mmpose's random boxes; shift, scale and rotation from a normal truncated to [-1, 1]."""

    flip: Fraction = 0.5
    half_body: Fraction = Field(0.3, description="probability of keeping one half of the body")
    half_body_joints: Count = Field(9, description="only people with so many labelled joints")
    half_body_padding: Positive = 1.5
    shift: NonNegative = Field(0.16, description="share of the padded box")
    shift_probability: Fraction = 0.3
    scale: tuple[Positive, Positive] = (0.5, 1.5)
    scale_probability: Fraction = 1.0
    rotation: NonNegative = Field(80.0, description="degrees")
    rotation_probability: Fraction = 0.6
    jitter: JitterRecipe | None = Field(
        None, description="change the colours of every crop", json_schema_extra=LATER
    )
    grid_dropout: GridDropoutRecipe | None = Field(
        None, description="blacken squares of a grid", json_schema_extra=LATER
    )

    @property
    def moves(self) -> bool:
        """Whether any of it can change a crop."""
        drawn = [
            self.flip,
            self.half_body,
            self.shift_probability * self.shift,
            self.scale_probability * (self.scale != (1.0, 1.0)),
            self.rotation_probability * self.rotation,
        ]
        return any(drawn) or self.jitter is not None or self.grid_dropout is not None


class TestRecipe(Section):
    """How predictions are made and merged."""

    __test__ = False  # Its name makes pytest take it for tests.

    flip: bool = Field(True, description="average with the maps of the mirrored image")
    joint_threshold: Fraction = Field(
        0.2, description="joints with a higher score enter the mean that scores the person"
    )
    nms_oks: Fraction = Field(0.9, description="people more alike than this are one; 1 keeps all")


class PoseRecipe(TaskRecipe):
    """Everything that determines a pose result."""

    task: Literal["pose"] = "pose"
    data: PoseData
    codec: CodecRecipe
    head: HeadRecipe
    padding: Positive = Field(1.25, description="of the box, before it takes the input's shape")
    augmentation: AugmentationRecipe
    test: TestRecipe
