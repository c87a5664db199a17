"""Single-object tracking as a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.contract import SPLITS, Evaluation, Row, Split, Task
from tasks.recipe import TaskRecipe
from tasks.tracking.recipe import TrackingRecipe, convention_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

    from backbones import Backbone
    from tasks.contract import DataInfo, Gallery, Predictions, Submission
    from tasks.model import TaskModel
    from tasks.tracking.data import TrackingDataset

_EXPLANATION = """\
tracking: where does the target of the first frame go?

Trained: the encoder and SwinTrack's fusion: template and search image through one encoder, their
  tokens joined by self-attention, a cross-attention decoder for the search image's, a score and a
  box for each of its cells. Positions are in the attention alone (untied, and relative). Or nothing
  (model.type=correlation, protocol frozen): the template's map slid over the search image's.
Loss: varifocal loss of the score against the IoU of the predicted box, GIoU of the box, on the
  cells that the target touches.
Training pairs: template and search image of one sequence, at most `data.max_gap` frames apart; the
  search area is shifted and scaled at random.
Prediction: the template is the first frame's; in each frame an area around the last box is looked
  at, and the cell with the best score under a Hann window gives the box.
Measured: by the benchmark's own convention, `measure.convention`: GOT-10k's AO (mean overlap of all
  frames but the first), SR.5, SR.75; success AUC, precision and normalised precision as OTB, LaSOT,
  pytracking and TrackingNet have them; losses of the target. docs/tracking.md has each in full.
Sampling error: over test sequences.
Controls: `constant`, the box of the first frame; `permuted-labels`, boxes of search images
  exchanged among pairs; `untrained`; `random`.
"""


class Tracking(Task):
    """Single-object tracking."""

    name: ClassVar[str] = "tracking"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "AO"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {
        "microworld": "the embedded world: 24 frames of a target among look-alikes, moving camera",
        "got10k": "GOT-10k in its own layout: 180 val sequences; test without labels by "
        "data.version=test",
        "lasot": "LaSOT, its 280 test sequences",
        "trackingnet": "TrackingNet, its 511 test sequences without labels",
        "otb100": "OTB, 100 targets",
        "otb2013": "OTB, the 51 targets of 2013",
        "otb2015": "OTB, another name of otb100",
        "uav123": "UAV123, 123 sequences",
        "vot": "a VOT challenge, its polygons as boxes",
        "folder": "sequences in GOT-10k's layout, folders or zip archives",
    }
    Recipe: ClassVar[type[TaskRecipe]] = TrackingRecipe
    of_data: ClassVar[tuple[str, ...]] = ("data", "measure", "predictions")
    plotted: ClassVar[bool] = True

    def recipe_of(self, dataset: str) -> str:
        return dataset if dataset == "microworld" else "folder"

    def dataset(self, recipe: TrackingRecipe, split: Split) -> TrackingDataset:
        from tasks.tracking.data import TrackingDataset

        return TrackingDataset(recipe, split)

    def model(self, backbone: Backbone, recipe: TrackingRecipe, info: DataInfo) -> TaskModel:
        from tasks.tracking.building import build

        return build(backbone, recipe)

    def primary_of(self, recipe: TrackingRecipe) -> str:
        from tasks.tracking.scoring.conventions import PRIMARY

        return PRIMARY[recipe.measure.convention]

    def variant(self, recipe: TrackingRecipe) -> str:
        measure, kind = recipe.measure, recipe.model.type
        words: list[str] = [measure.convention] if measure.convention != "got10k" else []
        words += ["valid frames"] if measure.valid_only else []
        words += [kind] if kind != "swintrack" else []
        return ", ".join(words)

    def evaluate(self, rows: list[Row], dataset: TrackingDataset) -> Evaluation:
        from tasks.tracking.metrics import evaluate

        return evaluate(rows, dataset)

    def constant(self, dataset: TrackingDataset) -> TaskModel:
        from tasks.tracking.constant import StaysPut

        return StaysPut()

    def draw(self, rows: list[Row], dataset: TrackingDataset) -> Image:
        from tasks.tracking.drawing import draw

        return draw(rows, dataset)

    def pictures(self, rows: list[Row], dataset: TrackingDataset, title: str) -> Gallery:
        from tasks.tracking.drawing import pictures

        return pictures(rows, dataset, title)

    def film(
        self, rows: list[Row], dataset: TrackingDataset, sequence: str, title: str
    ) -> list[Image]:
        from tasks.tracking.film import film

        return film(rows, dataset, sequence, title)

    def film_sheet(
        self, rows: list[Row], dataset: TrackingDataset, sequence: str, title: str
    ) -> Image:
        from tasks.tracking.film import sheet

        return sheet(rows, dataset, sequence, title)

    def plots(
        self, runs: Mapping[str, Sequence[list[Row]]], dataset: TrackingDataset
    ) -> dict[str, Image]:
        from tasks.tracking.plots import plots

        return plots(runs, dataset)

    def explain(self) -> str:
        return _EXPLANATION

    def has_truth(self, dataset: TrackingDataset) -> bool:
        return any(sequence.labelled for sequence in dataset.sequences)

    def scored_as(self, dataset: str) -> dict[str, Any]:
        return {"data": {"name": dataset}, "measure": {"convention": convention_of(dataset)}}

    def read_predictions(
        self, folder: Path, dataset: TrackingDataset, layout: str | None = None
    ) -> Predictions:
        from tasks.tracking.result_files import read

        return read(folder, dataset, layout)

    def pooled(self, evaluations: list[Evaluation]) -> Evaluation:
        from tasks.tracking.repetitions import pooled

        return pooled(evaluations)

    def served_as(self, dataset: str) -> dict[str, Any]:
        from tasks.tracking.submission import served

        return {"data": served(dataset)}

    def submission(
        self, rows: list[Row], dataset: TrackingDataset, seconds: float | None
    ) -> Submission:
        from tasks.tracking.submission import submission

        return submission(rows, dataset, seconds)

    def check_submission(self, file: Path, dataset: TrackingDataset) -> list[str]:
        from tasks.tracking.submission import check

        return check(file, dataset)

    def prepare(self, recipe: TrackingRecipe, progress: Any = None) -> None:
        from tasks.microworld.several import prepare_several
        from tasks.tracking.sources.microworld import videos

        if recipe.data.name == "microworld":
            parts = [videos(recipe.data, split) for split in SPLITS]
            prepare_several(parts, progress, recipe.data.workers)
