"""The settings of classification."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tasks.classification.augmentation.settings import AugmentationRecipe, MixRecipe
from tasks.classification.datasets.catalogue import PUBLICATIONS
from tasks.classification.probes.settings import ProbeRecipe
from tasks.recipe import FREE, LATER, Count, DataRecipe, Fraction, Positive, Section, TaskRecipe

OWN = ("microworld", "folder")
"""Data sets that are no publication's."""


class SplitCounts(Section):
    """Images of microworld in each split; of `novel`, over its levels together."""

    training: Count = 1000
    selection: Count = 500
    test: Count = 1000


class ClassificationData(DataRecipe):
    """Which images, and which classes they are of."""

    labels: Literal["covered", "fine", "novel", "novel-1", "novel-2", "novel-3"] = Field(
        "fine",
        description="microworld: coarse classes that supervised pre-training names; differences in "
        "one small part; classes that no pre-training has seen, in three levels of distance",
    )
    count: SplitCounts = SplitCounts.model_validate({})
    size: tuple[Count, Count] = Field((128, 128), description="microworld: height, width")
    seed: int = Field(0, description="microworld: seed of the world")
    held_out: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="share of the training images that are the selection split, if none is"
    )
    held_out_seed: int = Field(0, description="which ones")
    join_selection: bool = Field(
        False, description="train on the selection split too, where nothing is chosen by it"
    )
    duplicates: Literal["refuse", "count"] = Field(
        "refuse", description="folder: what to do with one image in two splits"
    )
    skip_unreadable: bool = Field(
        False, description="leave out images that are missing or broken, and count them"
    )
    partial: bool = Field(
        False, description="take fewer images than were published; counts are not compared"
    )
    workers: Annotated[int, Field(ge=0)] | None = Field(
        None, description="processes that render microworld", json_schema_extra=FREE
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in (*OWN, *PUBLICATIONS):
            known = ", ".join([*OWN, *PUBLICATIONS])
            raise ValueError(f"there is no data set `{self.name}`; there is {known}")
        return self


class HeadRecipe(Section):
    """The linear classifier of fine-tuning."""

    init_std: Positive = Field(0.02, description="of its first weights; 2e-5 in MAE's code")
    smoothing: Fraction = Field(0.0, description="label smoothing")


class TestRecipe(Section):
    """How evaluation sees an image: its shorter side brought to the input's size divided by
    `crop_share`, then the middle."""

    crop_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"


class PredictionsRecipe(Section):
    """What is stored of each prediction."""

    keep: Annotated[int, Field(ge=5)] = Field(
        100, description="classes with the highest scores, of data sets with more classes"
    )


class ClassificationRecipe(TaskRecipe):
    """Everything that determines a classification result."""

    task: Literal["classification"] = "classification"
    data: ClassificationData
    head: HeadRecipe = HeadRecipe.model_validate({})
    # What a protocol does not look at is at its default in the identity, and left out there.
    augmentation: AugmentationRecipe = Field(
        AugmentationRecipe.model_validate({}), json_schema_extra=LATER
    )
    mix: MixRecipe = Field(MixRecipe.model_validate({}), json_schema_extra=LATER)
    test: TestRecipe = TestRecipe.model_validate({})
    probe: ProbeRecipe = Field(ProbeRecipe.model_validate({}), json_schema_extra=LATER)
    predictions: PredictionsRecipe = PredictionsRecipe.model_validate({})

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        if self.protocol == "frozen" and self.train.max_steps is not None:
            raise ValueError("a probe is not trained by steps: leave --max-steps out")
        return self

    @model_validator(mode="after")
    def _selection_is_free(self) -> Self:
        if not self.data.join_selection or self.protocol != "frozen":
            return self
        if self.probe.kind != "knn":
            raise ValueError(
                f"the probe `{self.probe.kind}` chooses by the selection split: give "
                "--set data.join_selection=false"
            )
        if len(self.probe.features) > 1:
            raise ValueError(
                "of several `probe.features` the selection split chooses: name one, or leave "
                "`data.join_selection` out"
            )
        return self

    def identifying(self) -> Self:
        """Without the settings that its protocol does not look at."""
        if self.protocol == "finetune":
            return self.model_copy(update={"probe": ProbeRecipe.model_validate({})})
        idle: dict[str, Any] = {
            "augmentation": AugmentationRecipe.model_validate({}),
            "mix": MixRecipe.model_validate({}),
            "optimizer": self.optimizer.model_validate({"lr": 1.0}),
            "schedule": self.schedule.model_validate({}),
            "train": self.train.model_validate(
                {"batch_size": 1, "steps": 1, "precision": self.train.precision}
            ),
        }
        plain = ProbeRecipe.model_validate({})
        others = {"grid", "logistic", "knn"} - {self.probe.kind}
        probe = self.probe.model_copy(update={kind: getattr(plain, kind) for kind in others})
        return self.model_copy(update=idle | {"probe": probe})
