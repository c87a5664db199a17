"""Masked image modelling as a task: its data, its model, its figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.contract import Evaluation, RecipeError, Row, Split
from tasks.pretraining.contract import EncoderTask
from tasks.pretraining.recipe import PretrainingRecipe
from tasks.recipe import TaskRecipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from backbones import Backbone
    from tasks.contract import DataInfo
    from tasks.model import TaskModel
    from tasks.pretraining.data import MaskedImages
    from tasks.pretraining.filling import FillingEvidence

_EXPLANATION = """\
pretraining: an encoder learns from images alone, by filling in what is hidden.

Trained: a new encoder and its decoder, from the run's seed; `--backbone` is not looked at.
  SimMIM (Xie et al. 2022): a mask token stands for hidden patches, a 1x1 convolution and a
  pixel shuffle give the pixels. MAE (He et al. 2022): hidden patches are left out, a small
  transformer decodes.
Loss: the mean absolute (SimMIM) or squared (MAE) difference over hidden pixels, to the pixels as
  the encoder sees them, or normalised by window (`norm47`) or patch (`norm_pix`).
Measured: `masked L1`, the mean absolute difference over the hidden pixels of images without
  augmentation, under a mask that belongs to the image; beside it its share of what two fillers
  reach that have learned nothing: the mean of the visible pixels, and the harmonic interpolation
  from the visible border.
Controls: `constant` fills in the mean of the training images at each position. There are no
  labels to permute; `untrained` is the network as created.
The encoder is exported with `harness pretrain`, its evidence recomputed with
  `harness pretrain verify`.
"""


class Pretraining(EncoderTask):
    """Masked image modelling (SimMIM, MAE)."""

    name: ClassVar[str] = "pretraining"
    version: ClassVar[int] = 1
    primary: ClassVar[str] = "masked L1"
    recipes: ClassVar[Path] = Path(__file__).parent / "recipes"
    datasets: ClassVar[dict[str, str]] = {
        "microworld": "the embedded world: its pre-training range, without any novel class",
        "images": "a folder of images in ImageNet's layout (train/, val/)",
    }
    Recipe: ClassVar[type[TaskRecipe]] = PretrainingRecipe
    keep: ClassVar[tuple[str, ...]] = ("decoder",)

    def encoder(self, recipe: PretrainingRecipe, seed: int) -> Backbone:
        import backbones

        if recipe.encoder.start is not None:
            return _continued(recipe)
        return backbones.create(
            recipe.encoder.family,
            recipe.encoder.architecture(),
            recipe.backbone.input_size,
            seed,
            drop_path=recipe.backbone.drop_path,
            keep=("decoder",),
            mean=recipe.encoder.mean,
            std=recipe.encoder.std,
        )

    def objective(self, recipe: PretrainingRecipe) -> str:
        return recipe.mask.name

    def evidence(
        self,
        backbone: Backbone,
        recipe: PretrainingRecipe,
        seed: int | None,
        advance: Callable[[int], None],
    ) -> FillingEvidence:
        from tasks.pretraining.filling import measure

        seen, unseen = self.dataset(recipe, "training"), self.dataset(recipe, "test")
        return measure(backbone, recipe, seen, unseen, advance=advance)

    def dataset(self, recipe: PretrainingRecipe, split: Split) -> MaskedImages:
        from tasks.pretraining.data import MaskedImages

        return MaskedImages(recipe, split)

    def model(self, backbone: Backbone, recipe: PretrainingRecipe, info: DataInfo) -> TaskModel:
        from tasks.pretraining.model import MaskedModel

        return MaskedModel(backbone, recipe)

    def evaluate(self, rows: list[Row], dataset: MaskedImages) -> Evaluation:
        from tasks.pretraining.metrics import evaluate

        return evaluate(rows, len(dataset))

    def constant(self, dataset: MaskedImages) -> TaskModel:
        from tasks.pretraining.model import PositionMean

        return PositionMean(dataset.mean_image(), dataset.recipe)

    def draw(self, rows: list[Row], dataset: MaskedImages) -> Image:
        from tasks.pretraining.drawing import draw

        return draw(rows, dataset)

    def explain(self) -> str:
        return _EXPLANATION

    def prepare(self, recipe: PretrainingRecipe, progress: Any = None) -> None:
        from tasks.pretraining.data import prepare

        prepare(recipe, progress)


def _continued(recipe: PretrainingRecipe) -> Backbone:
    """The encoder that pre-training goes on from.

    Raises:
        LoadError: it cannot be loaded, or has no decoder.
        RecipeError: its architecture, or the mean or std of its input, is not the recipe's.
    """
    import backbones

    backbone = backbones.load(
        str(recipe.encoder.start),
        input_size=recipe.backbone.input_size,
        drop_path=recipe.backbone.drop_path,
        arch=recipe.backbone.arch(),
        keep=("decoder",),
    )
    encoder, spec = recipe.encoder, backbone.spec
    # The encoder normalises by its own mean and std, the targets are made with the recipe's.
    wanted = {"family": encoder.family, "mean": encoder.mean, "std": encoder.std}
    wanted |= recipe.encoder.architecture()
    found = {"family": spec.family, "mean": spec.mean, "std": spec.std} | spec.arch
    other = [f"{key} {found.get(key)}" for key in wanted if found.get(key) != wanted[key]]
    # BEiT's head tells visual tokens apart; only pixels are reconstructed here.
    other += ["no decoder of pixels"] if found.get("vocabulary") else []
    if other:
        raise RecipeError(
            f"`{encoder.start}` has {', '.join(other)}, not the recipe's; "
            "give `encoder` what the file has, or start from another file"
        )
    return backbone
