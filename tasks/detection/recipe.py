"""The settings of detection."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.recipe import FREE, Count, DataRecipe, Fraction, Positive, Section, TaskRecipe

Resampler = Literal["opencv", "pillow"]


class SplitCounts(Section):
    """Scenes of microworld in each split."""

    training: Count = 1024
    selection: Count = 128
    test: Count = 256


class SplitPaths(Section):
    """A file or folder for each split, below the root."""

    training: str
    selection: str
    test: str


class DetectionData(DataRecipe):
    """Which images, and which objects are in them."""

    name: Literal["microworld", "coco", "folder", "voc"] = "microworld"
    count: SplitCounts = SplitCounts.model_validate({})
    size: tuple[Count, Count] = Field((128, 128), description="microworld: height, width")
    seed: int = Field(0, description="microworld: seed of the world")
    annotations: SplitPaths | None = Field(
        None, description="COCO instance files below the root; voc: lists of image names"
    )
    images: SplitPaths | None = Field(None, description="image folders below the root")
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="share of the training images that are the selection split"
    )
    held_out_seed: int = Field(0, description="which ones")
    repair: bool = Field(
        False,
        description="mend boxes outside the image and of no area, invalid areas, broken masks by "
        "named rules, and count them, where they would be refused",
    )
    empty_images: Literal["keep", "leave_out"] = Field(
        "leave_out", description="training images without an object"
    )
    masks: bool = Field(True, description="use masks where the data set has them")
    workers: Annotated[int, Field(ge=0)] | None = Field(
        None, description="processes that render microworld", json_schema_extra=FREE
    )


class NeckRecipe(Section):
    """Maps of several strides from the encoder's."""

    type: Literal["fpn", "simple"] = Field(
        "fpn", description="of a hierarchical encoder's maps; ViTDet's, of the last map alone"
    )
    channels: Count = 256
    norm: Literal["none", "layer"] = Field("none", description="after its convolutions")
    strides: tuple[Positive, ...] = Field(
        (4, 8, 16, 32), description="of its maps, finest first; one of twice the last comes after"
    )
    map_norm: bool = Field(
        True, description="a fresh LayerNorm on each map of a hierarchical encoder, as Swin's code"
    )


class RpnRecipe(Section):
    """Region proposals (Ren et al. 2015)."""

    convolutions: Count = 1
    scale: Positive = Field(8.0, description="side of the square anchor in cells of its map")
    ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)
    positive_iou: Fraction = 0.7
    negative_iou: Fraction = 0.3
    min_positive_iou: Fraction = 0.3
    sampled: Count = Field(256, description="anchors an image that are trained on")
    positive_share: Fraction = 0.5
    proposals_before: Count = Field(2000, description="a level, in training")
    proposals_after: Count = Field(1000, description="an image, in training and test")
    proposals_before_test: Count = 1000
    nms_iou: Fraction = 0.7


class RoiRecipe(Section):
    """The second stage's boxes and masks (He et al. 2017)."""

    convolutions: Annotated[int, Field(ge=0)] = Field(0, description="of the box head")
    linears: Count = Field(2, description="of the box head")
    width: Count = Field(1024, description="of its linear layers")
    norm: Literal["none", "layer"] = "none"
    box_size: Count = Field(7, description="cells a side that a region is pooled to")
    mask_size: Count = Field(14, description="likewise for masks")
    mask_convolutions: Count = 4
    mask_width: Count = 256
    sampled: Count = Field(512, description="regions an image that are trained on")
    positive_share: Fraction = 0.25
    positive_iou: Fraction = 0.5
    class_agnostic: bool = Field(False, description="one box a region for all classes")


class TestRecipe(Section):
    """What is reported of an image."""

    min_score: Fraction = 0.05
    nms_iou: Fraction = 0.5
    detections: Count = Field(100, description="at most, an image")
    mask_threshold: Fraction = 0.5


class AugmentationRecipe(Section):
    """How training sees an image; each moves boxes, masks and crowd regions along.

    `resize` brings the short side to a value of `short_sides` with the long one at most
    `max_long_side`; `resize_crop` in half of the visits first to one of `first_short_sides`, then
    crops a window of `crop_range` sides; `jitter` scales by a number of `jitter_range` times the
    canvas and crops or pads to it (ViTDet's large-scale jitter); `fit` scales to fit the canvas.
    """

    mode: Literal["fit", "resize", "resize_crop", "jitter"] = "fit"
    flip: Fraction = 0.5
    short_sides: tuple[Count, ...] = (800,)
    max_long_side: Count = 1333
    first_short_sides: tuple[Count, ...] = (400, 500, 600)
    crop_range: tuple[Count, Count] = (384, 600)
    jitter_range: tuple[Positive, Positive] = (0.1, 2.0)
    min_area: Annotated[float, Field(ge=0)] = Field(
        0.0, description="objects of fewer square pixels after it are left out"
    )
    resampler: Resampler = Field(
        "opencv", description="bilinear as mmdet has it, or as detectron2, smoothed when shrinking"
    )


class EvaluationRecipe(Section):
    """How evaluation sees an image: its short side brought to `short_side` with the long one at
    most `max_long_side`, or fitted into the canvas where left out."""

    short_side: Count | None = None
    max_long_side: Count | None = None
    resampler: Resampler = Field("opencv", description="as in training")


class PredictionsRecipe(Section):
    """What is stored of each prediction."""

    masks: bool = Field(True, description="run lengths of every mask, in the image's size")


class DetectionRecipe(TaskRecipe):
    """Everything that determines a detection result. Images are brought onto a canvas of the size
    `backbone.input_size`, from its upper left corner; the rest of it has the mean colour."""

    task: Literal["detection"] = "detection"
    data: DetectionData
    neck: NeckRecipe = NeckRecipe.model_validate({})
    rpn: RpnRecipe = RpnRecipe.model_validate({})
    roi: RoiRecipe = RoiRecipe.model_validate({})
    test: TestRecipe = TestRecipe.model_validate({})
    augmentation: AugmentationRecipe = AugmentationRecipe.model_validate({})
    evaluation: EvaluationRecipe = EvaluationRecipe.model_validate({})
    predictions: PredictionsRecipe = PredictionsRecipe.model_validate({})
