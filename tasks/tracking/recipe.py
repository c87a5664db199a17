"""The settings of tracking."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tasks.recipe import FREE, Count, DataRecipe, Fraction, Positive, Section, TaskRecipe

Convention = Literal["got10k", "otb", "lasot", "pytracking", "trackingnet"]
Name = Literal[
    "microworld",
    "got10k",
    "lasot",
    "trackingnet",
    "otb100",
    "otb2013",
    "otb2015",
    "uav123",
    "vot",
    "folder",
]


def convention_of(dataset: str) -> Convention:
    """The convention by which a data set's own figures are published; GOT-10k's for sets that have
    none."""
    own: dict[str, Convention] = {"lasot": "lasot", "trackingnet": "trackingnet", "uav123": "otb"}
    return "otb" if dataset.startswith("otb") else own.get(dataset, "got10k")


class SplitCounts(Section):
    """Videos of microworld in each split."""

    training: Count = 192
    selection: Count = 24
    test: Count = 96


class TrainingSet(Section):
    """One of the sets that pairs are drawn from."""

    name: Literal["got10k", "lasot", "trackingnet", "coco", "folder"]
    root: Path = Field(json_schema_extra=FREE)
    weight: Positive = Field(1.0, description="how often it is drawn from, as a share of the sum")
    exclude: Path | None = Field(
        None, description="file of the names that are left out, one a line"
    )


class TrackingData(DataRecipe):
    """Which sequences, and how pairs for training are drawn from them."""

    name: Name = "microworld"
    count: SplitCounts = SplitCounts.model_validate({})
    size: tuple[Count, Count] = Field((128, 128), description="microworld: height, width")
    seed: int = Field(0, description="microworld: seed of the world")
    version: str = Field(
        "", description="vot: the year's folder; got10k: test in place of val, as `test`"
    )
    sets: tuple[TrainingSet, ...] = Field(
        (), description="what pairs are drawn from; the data set's own training split where none"
    )
    pairs: Count = Field(4096, description="pairs of template and search image an epoch")
    max_gap: Count = Field(100, description="frames between template and search image at most")
    held_out: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1,
        description="share of the training sequences that are the selection split, where there is "
        "none",
    )
    held_out_seed: int = Field(0, description="which ones")
    partial: bool = Field(
        False, description="take another number of sequences than was published, for trials"
    )
    workers: Annotated[int, Field(ge=0)] | None = Field(
        None, description="processes that render microworld", json_schema_extra=FREE
    )

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        if self.sets and self.name == "microworld":
            raise ValueError("microworld has its own training split: leave `sets` out")
        return self


class CropRecipe(Section):
    """What is cut out around the target: an area of (w+(f-1)(w+h)/2) x (h+(f-1)(w+h)/2) of a box
    w x h with a factor f, scaled to the output (SwinTrack, after SiamFC)."""

    template_size: tuple[Count, Count] = Field(description="height, width in pixels")
    template_factor: Positive = 2.0
    search_factor: Positive = 4.0
    min_side: Annotated[float, Field(ge=0)] = Field(
        10.0, description="smaller boxes are enlarged to it about their centre, for search areas"
    )
    scale_jitter: Annotated[float, Field(ge=0)] = Field(
        0.25, description="training: deviation of the logarithm of each axis' scale"
    )
    shift_jitter: Annotated[float, Field(ge=0)] = Field(
        3.0, description="training: range of the shift in mean sides of the target"
    )


class ModelRecipe(Section):
    """What is put on the encoder."""

    type: Literal["swintrack", "correlation"] = Field(
        "swintrack",
        description="trained fusion; or the template slid over the search map, without parameters",
    )
    stride: Count = Field(16, description="of the map that is taken from a hierarchical encoder")
    dim: Count = Field(384, description="swintrack: width of the fusion")
    heads: Count = 8
    encoder_blocks: Count = 4
    decoder_blocks: Count = 1
    mlp_ratio: Positive = 4.0
    centre: Literal["image", "cell"] = Field(
        "image",
        description="swintrack: what a box's centre is counted from: the search image's corner, as "
        "published; or its cell's centre, which is learned in fewer steps",
    )
    drop_path: Fraction = Field(0.1, description="of the fusion's last block, linear over depth")
    drop_path_from: Fraction = Field(
        0.5, description="share of training before which the fusion has none"
    )
    init_std: Positive = Field(
        0.02, description="swintrack: deviation of the fusion's weights, tables and places at first"
    )
    scales: tuple[Positive, ...] = Field(
        (0.964, 1.0, 1.0375), description="correlation: sizes of the target that are tried"
    )
    scale_penalty: Fraction = Field(
        0.9745, description="correlation: factor on the score of a changed size"
    )
    scale_rate: Fraction = Field(
        0.59, description="correlation: share of a new size that is taken over"
    )

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"`dim` {self.dim} is not a multiple of `heads` {self.heads}")
        return self


class LossRecipe(Section):
    """Varifocal loss of the IoU between predicted and true box, and GIoU (SwinTrack)."""

    class_weight: Positive = 1.5
    box_weight: Positive = 1.5
    alpha: Positive = 0.75
    gamma: Annotated[float, Field(ge=0)] = 2.0


class AugmentationRecipe(Section):
    """Of training pairs, after the crop."""

    grey: Fraction = Field(0.05, description="probability that both images lose their colours")
    brightness: Annotated[float, Field(ge=0)] = 0.4
    contrast: Annotated[float, Field(ge=0)] = 0.4
    saturation: Annotated[float, Field(ge=0)] = 0.4


class TestRecipe(Section):
    """How a target is followed."""

    window: Fraction = Field(0.49, description="share of the Hann window in the score")
    margin: Annotated[float, Field(ge=0)] = Field(
        0.5, description="the next search area's box is clipped to so many pixels inside the image"
    )
    lost_below: Fraction = Field(
        0.0,
        description="the cell's own score under which the target counts as lost: its last box is "
        "the next centre",
    )
    lost_growth: Annotated[float, Field(ge=1)] = Field(
        1.0,
        description="factor on the search area's sides with each frame that it is lost, up to 4",
    )
    batch: Count = Field(
        16, description="sequences that are followed together", json_schema_extra=FREE
    )


class MeasureRecipe(Section):
    """Whose figures: three toolkits give three for the same boxes."""

    convention: Convention = Field(
        "got10k",
        description="docs/tracking_conventions.md has them in full; the data set's own by default",
    )
    valid_only: bool = Field(
        False, description="pytracking: divide by the valid frames (exclude_invalid_frames)"
    )


class PredictionsRecipe(Section):
    """What is stored of each sequence beside boxes and scores."""

    maps: bool = Field(True, description="score maps as bytes, for pictures")


class TrackingRecipe(TaskRecipe):
    """Everything that determines a tracking result; `backbone.input_size` is the search image's."""

    task: Literal["tracking"] = "tracking"
    data: TrackingData
    crop: CropRecipe
    model: ModelRecipe = ModelRecipe.model_validate({})
    loss: LossRecipe = LossRecipe.model_validate({})
    augmentation: AugmentationRecipe = AugmentationRecipe.model_validate({})
    test: TestRecipe = TestRecipe.model_validate({})
    measure: MeasureRecipe = MeasureRecipe.model_validate({})
    predictions: PredictionsRecipe = PredictionsRecipe.model_validate({})

    @property
    def evaluation_batch(self) -> int:
        return self.test.batch

    @model_validator(mode="before")
    @classmethod
    def _own_convention(cls, values: Any) -> Any:
        """A data set is measured by its own convention where none is asked for."""
        if not isinstance(values, dict) or not isinstance(values.get("data"), dict):
            return values
        own = {"convention": convention_of(str(values["data"].get("name", "microworld")))}
        measure = values.get("measure", {})
        return values | {"measure": own | measure} if isinstance(measure, dict) else values

    @model_validator(mode="after")
    def _frozen_correlation(self) -> Self:
        if self.model.type == "correlation" and self.protocol != "frozen":
            raise ValueError("model.type=correlation trains nothing: give --protocol frozen")
        return self
