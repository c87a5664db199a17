"""Depth from one image as a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.contract import SPLITS, Evaluation, Row, Split, Task
from tasks.depth.recipe import DepthRecipe
from tasks.recipe import TaskRecipe

if TYPE_CHECKING:
    from PIL.Image import Image

    from backbones import Backbone
    from tasks.contract import DataInfo, Gallery, Published
    from tasks.depth.data import DepthDataset
    from tasks.model import TaskModel

_EXPLANATION = """\
depth: how far away is what each pixel shows?

Trained: the encoder and MIM-Depth-Estimation's decoder on its last map: deconvolutions up to a
  stride of 4, convolutions, bilinear enlargement, a sigmoid times the largest depth. Or DPT's on
  four maps (head.type=dpt). For fixed encoders also DINOv2's linear and probe3d's multi-scale
  probe, a mean over depth bins.
Loss: SILog, sqrt(mean d^2 - 0.5 mean(d)^2) of d = ln truth - ln prediction, over all pixels of the
  batch that have a truth.
Augmentation: vertical CutDepth, mirror, crop, brightness and contrast, gamma, hue and saturation,
  in the order of MIM-Depth-Estimation. Where the published code errs, the recipe says which way is
  taken: `published` or `corrected`.
Prediction: the mean over the image and its mirror image, of wide images over square windows.
Measured: RMSE in metres (lower is better), d1 to d3, AbsRel, SqRel, RMSElog, log10, SILog: of each
  image over the pixels that count, then the mean over images. Which pixels count (crop, range, cap)
  and whether a prediction is aligned to its truth is the recipe's `measure`, and part of the name
  under which results are compared. docs/depth.md has the conventions.
Sampling error: over test images.
Controls: `constant`, the mean training depth map, and beside it the one best number (RMSE_number);
  `permuted-labels`, depth maps exchanged among images; `untrained`; `random`.
"""


class Depth(Task):
    """Depth estimation."""

    name: ClassVar[str] = "depth"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "RMSE"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {
        "microworld": "the embedded world: exact depth of ray-cast scenes",
        "nyuv2": "NYU Depth V2 in the layout of BTS and GLPDepth, 654 test images",
        "kitti": "KITTI, Eigen's split with the official improved truth, 652 test images",
        "folder": "pairs of image and depth map (16-bit PNG or NPY), the unit given",
    }
    Recipe: ClassVar[type[TaskRecipe]] = DepthRecipe
    of_data: ClassVar[tuple[str, ...]] = ("data", "measure", "test", "predictions")

    def dataset(self, recipe: DepthRecipe, split: Split) -> DepthDataset:
        from tasks.depth.data import DepthDataset

        return DepthDataset(recipe, split)

    def model(self, backbone: Backbone, recipe: DepthRecipe, info: DataInfo) -> TaskModel:
        from tasks.depth.model import DepthModel

        return DepthModel(backbone, recipe, info)

    def fitted(
        self, recipe: DepthRecipe, backbone: Backbone
    ) -> tuple[DepthRecipe, tuple[str, ...]]:
        from tasks.depth.fitting import fit

        return fit(recipe, backbone)

    def variant(self, recipe: DepthRecipe) -> str:
        from tasks.depth.protocol import name

        measure = recipe.measure
        if recipe.data.partial and measure.split:
            measure = measure.model_copy(update={"split": f"not the {measure.split}"})
        return name(measure)

    def evaluate(self, rows: list[Row], dataset: DepthDataset) -> Evaluation:
        from tasks.depth.metrics import evaluate

        return evaluate(rows, dataset)

    def constant(self, dataset: DepthDataset) -> TaskModel:
        from tasks.depth.model import MeanDepth

        return MeanDepth(*dataset.mean_map(), dataset.recipe)

    def draw(self, rows: list[Row], dataset: DepthDataset) -> Image:
        from tasks.depth.drawing import draw

        return draw(rows, dataset)

    def pictures(self, rows: list[Row], dataset: DepthDataset, title: str) -> Gallery:
        from tasks.depth.drawing import pictures

        return pictures(rows, dataset, title)

    def published(self, checkpoint: Path, recipe: DepthRecipe) -> Published:
        from tasks.depth.published import open_model

        return open_model(checkpoint, recipe)

    def explain(self) -> str:
        return _EXPLANATION

    def prepare(self, recipe: DepthRecipe, progress: Any = None) -> None:
        from tasks.depth.sources.microworld import scenes
        from tasks.microworld.several import prepare_several

        if recipe.data.name == "microworld":
            parts = [scenes(recipe.data, split) for split in SPLITS]
            prepare_several(parts, progress, recipe.data.workers)
