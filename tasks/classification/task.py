"""Classification as a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.classification.datasets.catalogue import KORNBLITH12, PUBLICATIONS
from tasks.classification.recipe import OWN, ClassificationRecipe
from tasks.contract import SPLITS, Evaluation, Row, Split, Task
from tasks.recipe import TaskRecipe

if TYPE_CHECKING:
    from PIL.Image import Image

    from backbones import Backbone
    from tasks.classification.data import ClassificationDataset
    from tasks.classification.opening import Opened
    from tasks.contract import DataInfo, Gallery
    from tasks.model import TaskModel
    from tasks.probe import Probe

_EXPLANATION = """\
classification: which class is in the image?

Data: microworld with three label sets (data.labels): `covered`, the coarse classes that supervised
  pre-training names; `fine`, differences in one small part that no pre-training separates; `novel`,
  classes absent from it, in three levels of growing distance. Any image folder. The twelve data
  sets of Kornblith et al. (2019) with their official splits, ImageNet-1K, iNaturalist 2018 and the
  levels of CoG; `--dataset kornblith12` runs the twelve.
`finetune`: the encoder and a linear layer on what its authors give their classifier; RandAugment,
  mixup and cutmix, random erasing, label smoothing as the recipe says. Loss: cross-entropy with
  soft targets, or binary cross-entropy where an image has several labels.
`frozen`: features of the fixed encoder are computed once, and kept (`harness cache show`). On them
  `probe.kind=grid` trains linear heads for all learning rates, weight decays and features in one
  pass, and takes the one that is best on the selection split; `logistic` is L-BFGS logistic
  regression over 45 strengths of regularisation (Kornblith et al.), refitted on training and
  selection split; `knn` lets the 20 nearest training images vote (DINO). The last two draw nothing:
  runs of several seeds are equal unless the encoder is drawn too.
Measured: the data set's own figure: top-1 accuracy, the mean of the classes' shares, or VOC 2007's
  11-point mean average precision. The test split chooses nothing.
Sampling error: over test images; of mAP, 200 resamples of them.
Controls: `constant`, the most frequent training class; `permuted-labels`; `untrained`; `random`.
"""


class Classification(Task):
    """Fine-grained classification."""

    name: ClassVar[str] = "classification"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {
        "microworld": "the embedded world: covered, fine and novel classes (data.labels)",
        "folder": "any image folder: train/CLASS/*, val/CLASS/*, test/CLASS/*",
        **{name: found.title for name, found in PUBLICATIONS.items()},
    }
    groups: ClassVar[dict[str, tuple[str, ...]]] = {"kornblith12": KORNBLITH12}
    Recipe: ClassVar[type[TaskRecipe]] = ClassificationRecipe

    def __init__(self) -> None:
        self._opened: tuple[Any, Opened] | None = None

    def primary_of(self, recipe: ClassificationRecipe) -> str:
        found = PUBLICATIONS.get(recipe.data.name)
        return self.primary if found is None else found.figure

    def variant(self, recipe: ClassificationRecipe) -> str:
        labels = recipe.data.labels if recipe.data.name == "microworld" else ""
        probe = recipe.probe.kind if recipe.protocol == "frozen" else ""
        return ", ".join(word for word in (labels, probe) if word)

    def recipe_of(self, dataset: str) -> str:
        return dataset if dataset in OWN else "folder"

    def dataset(self, recipe: ClassificationRecipe, split: Split) -> ClassificationDataset:
        from tasks.classification.data import ClassificationDataset
        from tasks.classification.opening import open_data

        if self._opened is None or self._opened[0] != recipe.data:
            self._opened = recipe.data, open_data(recipe.data)
        return ClassificationDataset(recipe, split, self._opened[1])

    def prepare(self, recipe: ClassificationRecipe, progress: Any = None) -> None:
        from tasks.classification import microworld
        from tasks.classification.opening import open_data
        from tasks.microworld.several import prepare_several

        self._opened = None
        if recipe.data.name == "microworld":
            parts = [world for split in SPLITS for world in microworld.worlds(recipe.data, split)]
            prepare_several(parts, progress, recipe.data.workers)
        else:
            self._opened = recipe.data, open_data(recipe.data, progress)

    def fitted(
        self, recipe: ClassificationRecipe, backbone: Backbone
    ) -> tuple[ClassificationRecipe, tuple[str, ...]]:
        from tasks.classification.features import check

        check(recipe.probe.features)
        return recipe, ()

    def model(self, backbone: Backbone, recipe: ClassificationRecipe, info: DataInfo) -> TaskModel:
        from tasks.classification.model import Classifier

        return Classifier(backbone, recipe, info)

    def probe(self, recipe: ClassificationRecipe, info: DataInfo) -> Probe | None:
        from tasks.classification.probing import ClassificationProbe

        return ClassificationProbe(recipe, info)

    def evaluate(self, rows: list[Row], dataset: ClassificationDataset) -> Evaluation:
        from tasks.classification.metrics import evaluate

        opened = dataset.opened
        classes = len(opened.class_names)
        return evaluate(rows, dataset.labels, classes, opened.figure, opened.groups)

    def constant(self, dataset: ClassificationDataset) -> TaskModel:
        from tasks.classification.model import MostFrequent

        return MostFrequent(dataset.frequency(), dataset.recipe.predictions.keep)

    def draw(self, rows: list[Row], dataset: ClassificationDataset) -> Image:
        from tasks.captions import captioned
        from tasks.classification.pictures import words

        return captioned([(row["sample"], words(row, dataset)) for row in rows], dataset)

    def pictures(self, rows: list[Row], dataset: ClassificationDataset, title: str) -> Gallery:
        from tasks.classification.pictures import pictures

        return pictures(rows, dataset, title)

    def explain(self) -> str:
        return _EXPLANATION
