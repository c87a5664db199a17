"""The network of a task: an encoder and what the task puts on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

if TYPE_CHECKING:
    from backbones import Backbone
    from tasks.contract import Loss, Row


class TaskModel(nn.Module, ABC):
    """An encoder under the attribute `backbone` (None for a constant) and the task's own layers.

    Batches are dictionaries of tensors with the sample dimension B first: `image` (B,3,H,W) uint8
    RGB, `index` (B,) int64, and whatever the task's data set adds. In training there are
    `sample_key` (B,) int64 and `batch_key`, a number, on which what is drawn for a sample and for
    the batch depends.

    Attributes:
        trained: whether there is something to train; a run of others only predicts.
    """

    backbone: Backbone | None
    trained: ClassVar[bool] = True

    def __init__(self, backbone: Backbone | None = None) -> None:
        super().__init__()
        self.backbone = backbone

    def loss(self, batch: dict[str, Any]) -> Loss:
        """Named terms that are added up to the loss, and what is noted beside them.

        In training mode; in evaluation mode too where the recipe asks for the loss on held-out
        samples: then of items without augmentation, and nothing is updated."""
        raise NotImplementedError(f"{type(self).__name__} is not trained")

    @abstractmethod
    def predict(self, batch: dict[str, Any]) -> list[Row]:
        """One row a prediction, `sample` taken from `batch["index"]`; in evaluation mode."""

    def features(self, batch: dict[str, Any], training: bool) -> dict[str, Tensor]:
        """What the encoder gives of the images, (B,...) each: what is kept of a fixed encoder.

        A model that is trained by steps takes it from `batch["features"]` in `loss` and `predict`
        if that is there, and looks at no image then; of others a probe takes it.

        Args:
            batch: with `image`.
            training: what `loss` needs; else what `predict` needs.
        """
        raise NotImplementedError(f"{type(self).__name__} has no features to be kept")

    @property
    def has_features(self) -> bool:
        """Whether `features` is implemented."""
        return type(self).features is not TaskModel.features

    def initialise(self, seed: int) -> None:
        """Draw the task's own layers anew from `seed`; the encoder is left as it is."""
        raise NotImplementedError(f"{type(self).__name__} has nothing to initialise")

    def set_sample_keys(self, keys: Tensor) -> None:
        """Give the batch's randomness (B,) int64: noise inside the model depends on it alone."""
        if self.backbone is not None:
            self.backbone.set_sample_keys(keys)

    def set_progress(self, share: float) -> None:
        """Told before each step of training: the share of all steps, in [0,1), that is done."""

    def head_layer_ids(self, last: int) -> dict[str, int]:
        """Layer number of each parameter outside the encoder; `last` is the encoder's number
        for what comes after its blocks."""
        return {
            name: last for name, _ in self.named_parameters() if not name.startswith("backbone.")
        }

    @staticmethod
    def pixels(batch: dict[str, Any]) -> Tensor:
        """The images as float RGB in [0,1], (B,3,H,W)."""
        image: Tensor = batch["image"]
        return image.float() / 255
