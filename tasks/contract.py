"""What a task is: five functions in plain torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.records import (
    SPLITS,
    DataError,
    DataInfo,
    DependencyError,
    Evaluation,
    Gallery,
    Handle,
    Loss,
    Metric,
    Note,
    Pooled,
    Predictions,
    Published,
    Ragged,
    RecipeError,
    Row,
    Split,
    Submission,
    Term,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from PIL.Image import Image

    from backbones import Backbone
    from tasks.model import TaskModel
    from tasks.probe import Probe
    from tasks.recipe import TaskRecipe

__all__ = [
    "SPLITS",
    "DataError",
    "DataInfo",
    "DependencyError",
    "Evaluation",
    "Gallery",
    "Handle",
    "Loss",
    "Metric",
    "Note",
    "Pooled",
    "Predictions",
    "Published",
    "Ragged",
    "RecipeError",
    "Row",
    "Split",
    "Submission",
    "Task",
    "TaskDataset",
    "Term",
]


class TaskDataset(ABC):
    """A map-style data set; picklable, so that loader workers may have it."""

    info: DataInfo

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        """Return the sample at `index`: arrays of fixed shapes, `image` (3,H,W) uint8 among them
        where the model sees one, `Ragged` ones, or a `Handle`.

        It depends on nothing but its arguments. With a generator it is augmented for training,
        with None it is as evaluation sees it.

        Raises:
            DataError: naming the file, where the sample cannot be read.
        """

    def held_out(self, index: int) -> dict[str, Any]:
        """The sample at `index` as the loss of held-out samples takes it: without augmentation, but
        with what `TaskModel.loss` needs, where evaluation sees something else.

        Raises:
            DataError: it has no such sample.
        """
        return self.item(index, None)

    def permuted(self, seed: int) -> TaskDataset:
        """The same data set with labels exchanged among its samples: the control."""
        raise NotImplementedError(f"{type(self).__name__} has no permuted-labels control")

    def fraction(self, share: float, seed: int) -> TaskDataset:
        """A part of it for low-label curves: `share` of the samples, of each class as much where
        there are classes. The part of a smaller share lies in that of a larger one.

        Raises:
            RecipeError: it has none.
        """
        raise RecipeError(f"{type(self).__name__} has no parts: leave `data.fraction` out")

    @property
    def fixed(self) -> bool:
        """Whether training sees the images as evaluation does, so that the features of a fixed
        encoder are computed once."""
        return False

    @property
    def view(self) -> dict[str, Any]:
        """What is done to an image before the encoder sees it, without augmentation, JSON-able:
        with the data's hash it decides what an encoder is given."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it makes its images")


class Task(ABC):
    """What is done with an encoder. A subclass has a `Recipe` and the five functions.

    Attributes:
        name: as on the command line.
        version: raised whenever the same cell would give other numbers.
        primary: the metric that ranks encoders.
        recipes: folder with the recipe files, `<scale>.yaml` or `<scale>-<dataset>.yaml`.
        datasets: name -> one line on what it is, `microworld` first.
        groups: name -> data sets that are run together under it, each in a folder of its name.
        Recipe: the settings, a frozen model.
        of_data: sections of the recipe that are of the data, and not of the network or its
            training: what evaluation on another data set changes.
        ratios: name -> terms of the loss whose sum is divided by that of others, where curves are
            compared.
        plotted: whether `plots` draws several models in one picture.
        one_process: whether a sample's loss depends on the others of the batch, so that training
            cannot be shared.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    primary: ClassVar[str]
    recipes: ClassVar[Path]
    datasets: ClassVar[dict[str, str]]
    groups: ClassVar[dict[str, tuple[str, ...]]] = {}
    ratios: ClassVar[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {}
    Recipe: ClassVar[type[TaskRecipe]]
    of_data: ClassVar[tuple[str, ...]] = ("data",)
    plotted: ClassVar[bool] = False
    one_process: ClassVar[bool] = False

    @abstractmethod
    def dataset(self, recipe: Any, split: Split) -> TaskDataset: ...

    @abstractmethod
    def model(self, backbone: Backbone, recipe: Any, info: DataInfo) -> TaskModel: ...

    @abstractmethod
    def evaluate(self, rows: list[Row], dataset: Any) -> Evaluation:
        """Score predictions against the annotations of `dataset`. Pure: no file, no state.

        Raises:
            DataError: rows that are missing, doubled or of samples that the data set lacks.
        """

    @abstractmethod
    def constant(self, dataset: Any) -> TaskModel:
        """The best prediction without looking, from the training split `dataset`: a model
        without parameters whose `predict` uses nothing of the image."""

    @abstractmethod
    def draw(self, rows: list[Row], dataset: Any) -> Image:
        """A picture of the first predictions beside the truth."""

    def pictures(self, rows: list[Row], dataset: Any, title: str) -> Gallery:
        """Pictures of all predictions of a run; `title` says of which.

        Raises:
            DataError: rows that are missing, doubled or of samples that the data set lacks.
        """
        return Gallery({"samples": self.draw(rows, dataset)})

    def film(self, rows: list[Row], dataset: Any, sequence: str, title: str) -> list[Image]:
        """One sequence frame by frame: pictures of one size and palette. `title` says of which run.

        Raises:
            RecipeError: the task has no sequences.
            DataError: there is none of this name, or it cannot be drawn.
        """
        raise RecipeError(f"the task `{self.name}` has no sequences: leave `--sequence` out")

    def film_sheet(self, rows: list[Row], dataset: Any, sequence: str, title: str) -> Image:
        """One sequence on one picture.

        Raises:
            RecipeError, DataError: as `film`.
        """
        raise RecipeError(f"the task `{self.name}` has no sequences: leave `--sequence` out")

    def plots(self, runs: Mapping[str, Sequence[list[Row]]], dataset: Any) -> dict[str, Image]:
        """Several models in one picture, where `plotted` says that there are such.

        Args:
            runs: name -> predictions of each of its runs.

        Returns:
            File stem -> picture.
        """
        return {}

    @abstractmethod
    def explain(self) -> str:
        """What is trained, with which loss, measured how: a page of plain text."""

    def primary_of(self, recipe: Any) -> str:
        """The metric that ranks encoders under this recipe, where data sets differ in it."""
        return self.primary

    def variant(self, recipe: Any) -> str:
        """What tells results apart that share data set, protocol and scale, in a word or two; the
        leaderboard ranks each by itself. Empty where nothing does."""
        return ""

    def probe(self, recipe: Any, info: DataInfo) -> Probe | None:
        """What is fitted to a fixed encoder's features in place of training by steps, under the
        protocol `frozen`; None where the model is trained by steps there too."""
        return None

    def recipe_of(self, dataset: str) -> str:
        """The data set whose recipe files are for `dataset` too; itself where it has its own."""
        return dataset

    def encoder(self, recipe: Any, seed: int) -> Backbone | None:
        """A new encoder, for a task that makes one; None where the user names one."""
        return None

    def fitted(self, recipe: Any, backbone: Backbone) -> tuple[Any, tuple[str, ...]]:
        """The recipe with everything in it that follows from the encoder, and what that is, a line
        each. Fitting it again changes nothing. Of two encoders under one recipe the rules are the
        same, so a cell's identity holds the recipe as it was before.

        Raises:
            RecipeError: the encoder and the recipe do not go together.
        """
        return recipe, ()

    def published(self, checkpoint: Path, recipe: Any) -> Published:
        """The published model in a checkpoint file.

        Raises:
            LoadError: the file is not read as one.
            RecipeError: the task knows no published models.
        """
        raise RecipeError(
            f"the task `{self.name}` reads no published models: give the folder of a run"
        )

    def has_truth(self, dataset: Any) -> bool:
        """Whether what is predicted on it can be measured here; of some test sets only a server
        has the truth."""
        return True

    def scored_as(self, dataset: str) -> dict[str, Any]:
        """Section -> values of the recipe under which what other programs predicted on a data set
        is scored.

        Raises:
            RecipeError: the task reads no predictions of others.
        """
        raise RecipeError(f"the task `{self.name}` reads no predictions of other programs")

    def read_predictions(
        self, folder: Path, dataset: Any, layout: str | None = None
    ) -> Predictions:
        """What another program predicted for the samples of `dataset`; of `layout`, or of the one
        that the files have.

        Raises:
            DataError: naming the file, and its line, where it cannot be read as such.
            RecipeError: the task reads none, or has no such layout.
        """
        raise RecipeError(f"the task `{self.name}` reads no predictions of other programs")

    def pooled(self, evaluations: list[Evaluation]) -> Evaluation:
        """The evaluation of several runs of one program, counted together.

        Raises:
            RecipeError: the task does not say how.
        """
        raise RecipeError(f"the task `{self.name}` counts no runs together: give one")

    def served_as(self, dataset: str) -> dict[str, Any]:
        """Section -> values of the recipe of the test set that a benchmark's server knows.

        Raises:
            RecipeError: the data set has no such server.
        """
        raise RecipeError(f"the task `{self.name}` knows no server that takes predictions")

    def submission(self, rows: list[Row], dataset: Any, seconds: float | None) -> Submission:
        """The files in which the benchmark's server takes these predictions; `seconds` they took.

        Raises:
            DataError: rows that are missing, doubled or of samples that the data set lacks.
            RecipeError: the data set has no such server, or the seconds are needed and unknown.
        """
        raise RecipeError(f"the task `{self.name}` knows no server that takes predictions")

    def check_submission(self, file: Path, dataset: Any) -> list[str]:
        """What a benchmark's server would not take in an archive, a line each.

        Raises:
            DataError: the file is no archive.
            RecipeError: the data set has no such server.
        """
        raise RecipeError(f"the task `{self.name}` knows no server that takes predictions")

    def prepare(self, recipe: Any, progress: Any = None) -> None:  # noqa: B027
        """Make what `dataset` reads, where it can be made; `progress(done, total)` is called."""
