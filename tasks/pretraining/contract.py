"""A task that makes an encoder: what it adds to the five functions of every task."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.contract import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbones import Backbone
    from tasks.pretraining.evidence import Evidence


class EncoderTask(Task):
    """Pre-training by one objective.

    Attributes:
        keep: the parts beside the encoder that its file holds, as `backbones.load` knows them.
    """

    keep: ClassVar[tuple[str, ...]]

    @abstractmethod
    def encoder(self, recipe: Any, seed: int) -> Backbone:
        """A new encoder from the seed, or the file that training goes on from."""

    @abstractmethod
    def objective(self, recipe: Any) -> str:
        """The objective's name, as files and the catalogue have it."""

    @abstractmethod
    def evidence(
        self, backbone: Backbone, recipe: Any, seed: int | None, advance: Callable[[int], None]
    ) -> Evidence:
        """What the encoder has learned, measured on the images of the test split.

        Args:
            backbone: with the parts `keep`.
            recipe: the one that it was trained by, with as many test images as are wanted.
            seed: of its training, None where nothing tells.
            advance: told the number of images after each batch.
        """
