"""One target while it is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.tracking.crops import corners
from tasks.tracking.postprocess import kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.tracking.matching import ScaleSearch
    from tasks.tracking.recipe import TrackingRecipe

    Floats = NDArray[np.float64]
    Bytes = NDArray[np.uint8]

_LARGEST_GROWTH = 4.0
_SIZES = 0.2, 5.0
"""Sizes that a scale search may reach, as shares of the first (the authors' code of Bertinetto et
al. 2016)."""


class Target:
    """What was found of a target, and where it is looked for next.

    Args:
        name: of its sequence.
        first: (4,) x, y, width, height in the first frame.
        colour: (3,) what lies around all frames.
        length: T frames.
        recipe: its `crop` and `test`.
        search: how the size is found, where the network gives none.

    Attributes:
        box: (4,) as `first`, around which the next search area lies.
        boxes, centres: (T,4), scores: (T,), maps: (T,h,w), as in `rows.row`.
    """

    def __init__(
        self,
        name: str,
        first: Floats,
        colour: Floats,
        length: int,
        recipe: TrackingRecipe,
        search: ScaleSearch | None,
    ) -> None:
        self.name, self.box, self.colour = name, first, colour
        self.boxes, self.centres = np.full((2, length, 4), np.nan)
        self.boxes[0], self.scores = first, np.full(length, np.nan)
        self.maps: Bytes | None = None
        self._recipe, self._search = recipe, search
        self._growth = 1.0

    def around(self, scale: float = 1.0) -> Floats:
        """(4,) the box that the next search area is made for, of a target `scale` times as large:
        that kept, enlarged while the target is lost."""
        factor = self._growth * scale
        if factor == 1:
            return self.box
        sides = factor * np.maximum(self.box[2:], self._recipe.crop.min_side)
        return _centred(_centre(self.box), sides)

    def take(self, frame: int, views: Floats, size: tuple[int, ...]) -> int:
        """Take over what was found in a frame of `size` (height, width).

        Args:
            views: (S,6) of each scale: the box' corners in the image, the score under the window,
                the score.

        Returns:
            Which view was the best, the first among equals.
        """
        best = self._best(views[:, 4])
        score = views[best, 5]
        box = _from_corners(views[best, :4])
        if self._search is not None:
            box = _centred(_centre(box), self._resized(self._search, best))
        self.boxes[frame], self.scores[frame], self.centres[frame] = box, score, self.around()
        if score < self._recipe.test.lost_below:
            self._growth = min(self._growth * self._recipe.test.lost_growth, _LARGEST_GROWTH)
        else:
            self._growth = 1.0
            self.box = self._kept(box, (size[0], size[1]))
        return best

    def keep_map(self, frame: int, scores: Bytes) -> None:
        """Keep the (h,w) scores of a frame's search area."""
        if self.maps is None:
            self.maps = np.zeros((len(self.boxes), *scores.shape), np.uint8)
        self.maps[frame] = scores

    def _best(self, confidences: Floats) -> int:
        if self._search is None:
            return 0
        changed = np.array(self._search.scales) != 1
        return int(np.argmax(np.where(changed, self._search.penalty, 1.0) * confidences))

    def _resized(self, search: ScaleSearch, best: int) -> Floats:
        """(2,) width and height after a step towards the best scale."""
        sides = self.box[2:] * (1 - search.rate + search.rate * search.scales[best])
        first = self.boxes[0, 2:]
        return np.clip(sides, _SIZES[0] * first, _SIZES[1] * first)

    def _kept(self, box: Floats, size: tuple[int, int]) -> Floats:
        margin = self._recipe.test.margin
        if self._search is None:
            return _from_corners(kept(corners(box), corners(self.box), size, margin))
        # What gives no size must not lose it at the edge of the image.
        centre = np.clip(_centre(box), margin, np.array(size[::-1]) - margin)
        return _centred(centre, box[2:])


def _centre(box: Floats) -> Floats:
    return box[:2] + box[2:] / 2


def _centred(centre: Floats, sides: Floats) -> Floats:
    return np.concatenate((centre - sides / 2, sides))


def _from_corners(box: Floats) -> Floats:
    return np.concatenate((box[:2], box[2:] - box[:2]))
