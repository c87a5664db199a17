"""Supervised pre-training as a task: its data, its model, its figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.contract import Evaluation, Row, Split
from tasks.pretraining.contract import EncoderTask
from tasks.pretraining.supervised.recipe import SupervisedRecipe
from tasks.recipe import TaskRecipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from backbones import Backbone
    from tasks.contract import DataInfo
    from tasks.model import TaskModel
    from tasks.pretraining.supervised.data import LabelledImages
    from tasks.pretraining.supervised.evidence import AccuracyEvidence

_EXPLANATION = """\
supervised_pretraining: an encoder learns from images and the class of the object in them.

Trained: a new encoder and its classifier, from the run's seed; `--backbone` is not looked at.
  Images: views of one covered object each, from the world's pre-training range; no fine and no
  novel class is among them.
Loss: cross-entropy with label smoothing.
Measured: top-1 accuracy on unseen views of covered objects, without augmentation.
Controls: `constant` is the most frequent class, `permuted-labels` exchanges the classes among the
  training images, `untrained` is the network as created.
The encoder is exported with `harness pretrain --objective supervised`, its evidence recomputed
  with `harness pretrain verify`.
"""


class SupervisedPretraining(EncoderTask):
    """Classification of the world's covered classes."""

    name: ClassVar[str] = "supervised_pretraining"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {
        "microworld": "the embedded world: views of covered objects from its pre-training range"
    }
    Recipe: ClassVar[type[TaskRecipe]] = SupervisedRecipe
    keep: ClassVar[tuple[str, ...]] = ("head",)

    def encoder(self, recipe: SupervisedRecipe, seed: int) -> Backbone:
        import backbones
        from tasks.microworld.describe import labels_of

        backbone = backbones.create(
            recipe.encoder.family,
            recipe.architecture(len(labels_of("covered"))),
            recipe.backbone.input_size,
            seed,
            drop_path=recipe.backbone.drop_path,
            keep=self.keep,
            mean=recipe.encoder.mean,
            std=recipe.encoder.std,
        )
        for name, parameter in backbone.named_parameters():
            if name.startswith("head."):
                parameter.data.mul_(recipe.classifier.init_scale)
        return backbone

    def objective(self, recipe: SupervisedRecipe) -> str:
        return "supervised"

    def evidence(
        self,
        backbone: Backbone,
        recipe: SupervisedRecipe,
        seed: int | None,
        advance: Callable[[int], None],
    ) -> AccuracyEvidence:
        from tasks.pretraining.supervised.evidence import measure

        return measure(backbone, recipe, self.dataset(recipe, "test"), advance=advance)

    def dataset(self, recipe: SupervisedRecipe, split: Split) -> LabelledImages:
        from tasks.pretraining.supervised.data import LabelledImages

        return LabelledImages(recipe, split)

    def model(self, backbone: Backbone, recipe: SupervisedRecipe, info: DataInfo) -> TaskModel:
        from tasks.pretraining.supervised.model import Classifier

        return Classifier(backbone, recipe)

    def evaluate(self, rows: list[Row], dataset: LabelledImages) -> Evaluation:
        from tasks.pretraining.supervised.evidence import evaluate

        return evaluate(rows, dataset.labels)

    def constant(self, dataset: LabelledImages) -> TaskModel:
        from tasks.pretraining.supervised.model import MostFrequent

        return MostFrequent(dataset.labels, len(dataset.class_names))

    def draw(self, rows: list[Row], dataset: LabelledImages) -> Image:
        from tasks.captions import captioned

        def words(row: Row) -> tuple[int, str]:
            scores = row["scores"]
            found = dataset.class_names[max(range(len(scores)), key=scores.__getitem__)]
            true = dataset.class_names[dataset.labels[row["sample"]]]
            return row["sample"], found if found == true else f"{found}, not {true}"

        return captioned([words(row) for row in rows], dataset)

    def explain(self) -> str:
        return _EXPLANATION

    def prepare(self, recipe: SupervisedRecipe, progress: Any = None) -> None:
        from tasks.pretraining.supervised.data import prepare

        prepare(recipe, progress)
