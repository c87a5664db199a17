"""Detection as a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.contract import SPLITS, Evaluation, Row, Split, Task
from tasks.detection.recipe import DetectionRecipe
from tasks.recipe import TaskRecipe

if TYPE_CHECKING:
    from PIL.Image import Image

    from backbones import Backbone
    from tasks.contract import DataInfo, Gallery
    from tasks.detection.data import DetectionDataset
    from tasks.model import TaskModel

_EXPLANATION = """\
detection: which objects are in the image, and where?

Trained: the encoder and Mask R-CNN (He et al. 2017) of mmdet's modules: region proposals, a head
  for classes and boxes, one for masks where the data has them. Between them a pyramid of maps: FPN
  on a hierarchical encoder's four, ViTDet's simple pyramid on the last map of a plain one.
Loss: of the proposals, classes (rpn_class) and boxes (rpn_box); of the second stage, classes
  (class), boxes (box) and masks (mask). Each is divided by what counts in the whole batch. Which
  anchors and regions are sampled is a function of seed, epoch and image.
Images: brought onto a canvas of the input's size without changing their shape; the rest of it has
  the mean colour. Augmentation as in Swin's and ViTDet's recipes; masks, boxes and crowd flags move
  along.
Data: an object that is not to be found counts for nothing and is not trained on: COCO's crowd
  regions (`iscrowd`), and `difficult` objects of Pascal VOC, which are taken for crowds. Broken
  annotations are refused, or mended by named rules that the record counts (`data.repair=true`).
Measured: AP over ten thresholds of box overlap and over classes, and its eleven companions, equal
  to pycocotools; the same of masks; AP by class; after TIDE (Bolya et al. 2020) how much AP each of
  six kinds of error costs: class, location, both, duplicate, background, missed.
Dynamics: every term of the loss over equal parts of the steps, and on held-out images, with the
  number of positive regions: `dynamics.parquet`; `harness compare A B --task detection --curves`.
Sampling error: 200 resamples of the test images.
Controls: `constant`, one list of boxes for all images: the cluster centres of the training boxes;
  `permuted-labels`, whole annotation sets exchanged among images; `untrained`; `random`.
"""


class Detection(Task):
    """Object detection and instance segmentation."""

    name: ClassVar[str] = "detection"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "AP"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {
        "microworld": "the embedded world: persons and ten classes of objects, with masks",
        "coco": "COCO 2017 in the official layout, 80 classes, with masks",
        "folder": "any COCO instance files: annotations/instances_{train,val,test}.json",
        "voc": "Pascal VOC: a folder of XML files, boxes only",
    }
    ratios: ClassVar[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
        "localisation / classification": (("rpn_box", "box"), ("rpn_class", "class")),
    }
    Recipe: ClassVar[type[TaskRecipe]] = DetectionRecipe
    of_data: ClassVar[tuple[str, ...]] = ("data", "evaluation", "predictions")

    def dataset(self, recipe: DetectionRecipe, split: Split) -> DetectionDataset:
        from tasks.detection.data import DetectionDataset

        return DetectionDataset(recipe, split)

    def model(self, backbone: Backbone, recipe: DetectionRecipe, info: DataInfo) -> TaskModel:
        from tasks.detection.model import Detector

        return Detector(backbone, recipe, info)

    def fitted(
        self, recipe: DetectionRecipe, backbone: Backbone
    ) -> tuple[DetectionRecipe, tuple[str, ...]]:
        from tasks.detection.fitting import fit

        return fit(recipe, backbone)

    def evaluate(self, rows: list[Row], dataset: DetectionDataset) -> Evaluation:
        from tasks.detection.metrics import evaluate

        return evaluate(rows, dataset)

    def constant(self, dataset: DetectionDataset) -> TaskModel:
        from tasks.detection.constant import ConstantBoxes

        return ConstantBoxes(dataset.clusters(), dataset.info.model["masks"])

    def draw(self, rows: list[Row], dataset: DetectionDataset) -> Image:
        from tasks.detection.drawing import draw

        return draw(rows, dataset)

    def pictures(self, rows: list[Row], dataset: DetectionDataset, title: str) -> Gallery:
        from tasks.detection.drawing import pictures

        return pictures(rows, dataset, title)

    def explain(self) -> str:
        return _EXPLANATION

    def prepare(self, recipe: DetectionRecipe, progress: Any = None) -> None:
        from tasks.detection.sources import world
        from tasks.microworld.several import prepare_several

        if recipe.data.name == "microworld":
            parts = [world(recipe.data, split) for split in SPLITS]
            prepare_several(parts, progress, recipe.data.workers)
