"""Contrastive pre-training as a task: its data, its model, its figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.contract import DataError, Evaluation, Row, Split
from tasks.pretraining.contract import EncoderTask
from tasks.pretraining.contrastive.recipe import ContrastiveRecipe
from tasks.recipe import TaskRecipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from backbones import Backbone
    from tasks.contract import DataInfo
    from tasks.model import TaskModel
    from tasks.pretraining.contrastive.data import PairedImages
    from tasks.pretraining.contrastive.evidence import RetrievalEvidence

_EXPLANATION = """\
contrastive_pretraining: an encoder learns from images alone, by knowing them again.

Trained: a new encoder with MoCo v3's projector and predictor (Chen et al. 2021), from the run's
  seed; `--backbone` is not looked at. A second encoder follows the first as a moving average.
Loss: what is pooled of one view of an image has to find that of the other view, as the second
  encoder has it, among those of the batch. The patch embedding stays random.
Measured: retrieval, the share of unseen images of which one view, by what is pooled and the
  cosine, has the other as the nearest of all.
Controls: `constant` sees no difference, `untrained` is the network as created; there are no labels
  to permute.
It runs in one process: an image is told from those of the whole batch.
The encoder is exported with `harness pretrain --objective contrastive`, its evidence recomputed
  with `harness pretrain verify`.
"""


class ContrastivePretraining(EncoderTask):
    """MoCo v3 on the world's images."""

    name: ClassVar[str] = "contrastive_pretraining"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "retrieval"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {
        "microworld": "the embedded world: its pre-training range, without any novel class"
    }
    Recipe: ClassVar[type[TaskRecipe]] = ContrastiveRecipe
    one_process: ClassVar[bool] = True
    keep: ClassVar[tuple[str, ...]] = ()

    def encoder(self, recipe: ContrastiveRecipe, seed: int) -> Backbone:
        import backbones

        return backbones.create(
            recipe.encoder.family,
            recipe.architecture(),
            recipe.backbone.input_size,
            seed,
            mean=recipe.encoder.mean,
            std=recipe.encoder.std,
        )

    def objective(self, recipe: ContrastiveRecipe) -> str:
        return "contrastive"

    def evidence(
        self,
        backbone: Backbone,
        recipe: ContrastiveRecipe,
        seed: int | None,
        advance: Callable[[int], None],
    ) -> RetrievalEvidence:
        from tasks.pretraining.contrastive.evidence import measure

        if seed is None:
            raise DataError(
                "the encoder before training is compared with, and nothing tells its seed: put "
                "the encoder's provenance.json beside it"
            )
        unseen = self.dataset(recipe, "test")
        return measure(backbone, self.encoder(recipe, seed), unseen, advance=advance)

    def dataset(self, recipe: ContrastiveRecipe, split: Split) -> PairedImages:
        from tasks.pretraining.contrastive.data import PairedImages

        return PairedImages(recipe, split)

    def model(self, backbone: Backbone, recipe: ContrastiveRecipe, info: DataInfo) -> TaskModel:
        from tasks.pretraining.contrastive.model import Contrast

        return Contrast(backbone, recipe)

    def evaluate(self, rows: list[Row], dataset: PairedImages) -> Evaluation:
        from tasks.pretraining.contrastive.evidence import evaluate

        return evaluate(rows, len(dataset))

    def constant(self, dataset: PairedImages) -> TaskModel:
        from tasks.pretraining.contrastive.model import Indifferent

        return Indifferent()

    def draw(self, rows: list[Row], dataset: PairedImages) -> Image:
        from tasks.captions import captioned

        found = self.evaluate(rows, dataset).per_sample["found"]
        words = [(row["sample"], "found" if found[row["sample"]] else "not found") for row in rows]
        return captioned(words, dataset)

    def explain(self) -> str:
        return _EXPLANATION

    def prepare(self, recipe: ContrastiveRecipe, progress: Any = None) -> None:
        from tasks.pretraining.contrastive.data import prepare

        prepare(recipe, progress)
