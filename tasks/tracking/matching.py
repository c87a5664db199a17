"""What a tracker needs of a network: where in a search image does the template's target lie?"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

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


class View(NamedTuple):
    """How templates are cut, as `Window.of` has it: `size` is height and width in pixels."""

    factor: float
    size: tuple[int, int]
    min_side: float = 0.0


class ScaleSearch(NamedTuple):
    """How the size of a target is found by a network that gives its centre alone (Bertinetto et al.
    2016, section 4.2).

    Attributes:
        scales: factors on the target's size, of which each gets a search image of its own.
        penalty: factor on the score of another size than the last.
        rate: share of a new size that is taken over.
    """

    scales: tuple[float, ...]
    penalty: float
    rate: float


class Matcher(TaskModel):
    """An encoder that compares; `predict` follows targets with it.

    Attributes:
        scale_search: how sizes are found, where the network gives none.
    """

    scale_search: ScaleSearch | None = None
    recipe: TrackingRecipe

    @property
    def template_view(self) -> View:
        """How templates are cut."""
        return View(self.recipe.crop.template_factor, self.recipe.crop.template_size)

    def unchanging(self) -> AbstractContextManager[None]:
        """Inside, weights stay as they are, and what depends on them alone is computed once."""
        return nullcontext()

    @abstractmethod
    def template(self, images: Tensor) -> Tensor:
        """(B,...) what is remembered of templates (B,3,h,w) in [0,1]; computed once a target."""

    def remember(self, images: Tensor, boxes: Tensor) -> Tensor:
        """(B,...) likewise, told where the targets lie: (B,4) x1, y1, x2, y2 in pixels of the
        templates. Those that need not know take the images alone."""
        return self.template(images)

    @abstractmethod
    def match(self, template: Tensor, images: Tensor) -> Response:
        """Compare (B,...) with search images (B,3,H,W) in [0,1]."""

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        """Follow the batch's targets: `frames`, a list of `Frames`, `first` (B,4) float64 and
        `name`, a list."""
        from tasks.tracking.following import follow

        return follow(self, batch)
