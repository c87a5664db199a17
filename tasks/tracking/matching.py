"""What a tracker needs of a network: where in a search image does the template's target lie?"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from torch import Tensor

from tasks.model import TaskModel

if TYPE_CHECKING:
    from tasks.contract import Row
    from tasks.tracking.recipe import TrackingRecipe


class Response(NamedTuple):
    """Of B search images in h x w cells.

    Attributes:
        scores: (B,h,w) in [0,1].
        boxes: (B,h,w,4) centre x, centre y, width, height as shares of the search image's width and
            height.
    """

    scores: Tensor
    boxes: Tensor


class Matcher(TaskModel):
    """An encoder that compares; `predict` follows targets with it.

    Attributes:
        scales: sizes of the target, as factors, of which each gets a search image of its own.
    """

    scales: ClassVar[tuple[float, ...]] = (1.0,)
    recipe: TrackingRecipe

    @abstractmethod
    def template(self, images: Tensor) -> Tensor:
        """(B,...) what is remembered of templates (B,3,h,w) in [0,1]; computed once a target."""

    @abstractmethod
    def match(self, template: Tensor, images: Tensor) -> Response:
        """Compare (B,...) with search images (B,3,H,W) in [0,1]."""

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        """Follow the batch's targets: `frames`, a list of `Frames`, `first` (B,4) float64 and
        `name`, a list."""
        from tasks.tracking.following import follow

        return follow(self, batch)
