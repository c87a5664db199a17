"""Sequences to follow, and pairs of crops to train on, as a map-style data set."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from tasks.contract import DataError, DataInfo, Handle, Split, TaskDataset
from tasks.subsets import subset
from tasks.tracking.augmentation import disturb
from tasks.tracking.crops import MARGIN, Window, clip, corners, mean_colour
from tasks.tracking.pairs import Pair, Pairs, Pool
from tasks.tracking.sources.opening import open_source, open_training_sets

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tasks.tracking.recipe import TrackingRecipe
    from tasks.tracking.sequences import Sequence

    Pixels = NDArray[np.uint8]
    Floats = NDArray[np.float64]

_DRAWS = 20
_UNUSED = "model.type=correlation trains nothing: this split was not opened"


class _Views(NamedTuple):
    """What a pair is cut from: two images and the target's box in each, x, y, width, height."""

    template: Pixels
    template_box: Floats
    search: Pixels
    search_box: Floats


class TrackingDataset(TaskDataset):
    """Training: `data.pairs` pairs an epoch, each drawn anew at each visit. Selection and test: one
    sample a sequence, to be followed from its first frame.

    A model that trains nothing runs on data that has no training split, too: for it the training
    and the selection split are not opened. A stand-in of the test split's length takes their place
    and gives nothing out.

    Attributes:
        unused: whether this is such a stand-in.
        pools: the sets, with the frames that pairs can be made of.
    """

    def __init__(self, recipe: TrackingRecipe, split: Split) -> None:
        data = recipe.data
        self.recipe, self.split = recipe, split
        self.unused = recipe.model.type == "correlation" and split != "test"
        self.trains = split == "training" and not self.unused
        if self.trains:
            sets = open_training_sets(data)
        else:
            sets = ((open_source(data, "test" if self.unused else split), 1.0),)
        self._exchanged: int | None = None
        self._followed: list[Sequence] = []
        if not self.trains:
            self._followed = list(sets[0][0].sequences)[: data.limit]
            for sequence in self._followed:
                _require_start(sequence)
        self._take(tuple(Pool(source, weight, data.limit) for source, weight in sets))

    def __len__(self) -> int:
        return self.info.count

    @property
    def sequences(self) -> list[Sequence]:
        """Of the split, in their order; in training those that pairs are drawn from."""
        if not self.trains:
            return self._followed
        return [p.source.sequences[row] for p in self.pools for row in p.rows.tolist()]

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        """In training a pair: `template` (3,h,w) uint8, `image` (3,H,W) uint8, the search image,
        and `box` (4,) float32, x1 y1 x2 y2 of the target in pixels of the search image, clipped to
        half a pixel inside its edges. Without a generator the pair is a function of `index`, the
        target in the middle.

        Else a sequence: `frames`, a handle of `Frames`, `name`, a handle of a string, and `first`
        (4,) float64 x, y, width, height.
        """
        self._require_use()
        if not self.trains:
            sequence = self._followed[index]
            first = np.array(sequence.boxes[0], np.float64)
            return {
                "frames": Handle(sequence.frames),
                "name": Handle(sequence.name),
                "first": first,
            }
        draws = np.random.default_rng([index, 0]) if rng is None else rng
        views = self._views(self.pairs.draw, draws)
        window = self._window(views.search_box, rng)
        crops = self._crops(views, window, rng)
        if self._exchanged is not None:
            # Drawn last: the images are those of a run whose labels are right.
            other = np.random.default_rng([self._exchanged, int(draws.integers(2**63))])
            return crops | {"box": self._other_label(other, still=rng is None)}
        return crops | {"box": self._label(views.search_box, window)}

    def held_out(self, index: int) -> dict[str, Any]:
        """A pair of the sequence `index`, a function of it. Its search area is jittered, since a
        target in the middle would say nothing of a tracker; its colours are as they are."""
        self._require_use()
        if self.trains:
            return self.item(index, None)
        (rows,) = np.nonzero(self.pools[0].rows == index)
        if not len(rows):
            raise DataError(
                f"the sequence `{self._followed[index].name}` has no usable box, which the loss of "
                "held-out samples needs: leave `dynamics.points` out"
            )
        pairs, draws = Pairs(self.pools, self.recipe.data.max_gap), np.random.default_rng([index])
        views = self._views(lambda rng: pairs.within(0, int(rows[0]), rng), draws)
        window = self._window(views.search_box, draws)
        return self._crops(views, window, None) | {"box": self._label(views.search_box, window)}

    def permuted(self, seed: int) -> TrackingDataset:
        """Each pair keeps its template and its search image and gets the `box` of another: of a
        pair that is drawn by itself, the box in that pair's own search area, in pixels of the
        search image. It is a function of `seed` and of what decides the pair."""
        other = copy.copy(self)
        other._exchanged = seed
        return other

    def fraction(self, share: float, seed: int) -> TrackingDataset:
        """Pairs of a part of the sequences, of each set as much; as many pairs as of all."""
        self._require_use()
        other = copy.copy(self)
        other._take(tuple(_part(pool, share, seed) for pool in self.pools))
        return other

    @property
    def view(self) -> dict[str, Any]:
        recipe = self.recipe
        return {"size": list(recipe.backbone.input_size), "crop": recipe.crop.model_dump()}

    def _take(self, pools: tuple[Pool, ...]) -> None:
        """Make these the sets."""
        self.pools = pools
        if self.trains:
            self.pairs = Pairs(pools, self.recipe.data.max_gap)
        self.info = DataInfo(
            name=self.recipe.data.name,
            split=self.split,
            count=self.recipe.data.pairs if self.trains else len(self._followed),
            sha256=hashlib.sha256(self._deciding().encode()).hexdigest(),
            licence="; ".join(dict.fromkeys(pool.source.licence for pool in pools)),
            skipped={} if self.unused else _skipped(pools, self.trains),
            facts={"unused": _UNUSED} if self.unused else _facts(pools),
        )

    def _deciding(self) -> str:
        """What decides the samples, the recipe aside."""
        if self.unused:
            return _UNUSED
        lines: list[str] = [self.split]
        for pool in self.pools:
            chosen = hashlib.sha256(pool.rows.astype("<i8").tobytes()).hexdigest()
            lines.append(f"{pool.source.name} {pool.weight:g} {pool.source.digest} {chosen}")
        return "\n".join(lines)

    def _views(
        self, draw: Callable[[np.random.Generator], Pair], rng: np.random.Generator
    ) -> _Views:
        """The images of a pair, drawn anew where a box ends beyond the right or the lower edge."""
        for _ in range(_DRAWS):
            pair = draw(rng)
            sequence = self._sequence(pair)
            template = sequence.frames.read(pair.template)
            search = template
            if pair.search != pair.template:
                search = sequence.frames.read(pair.search)
            found = _Views(
                template, sequence.boxes[pair.template], search, sequence.boxes[pair.search]
            )
            if _meets(template, found.template_box) and _meets(search, found.search_box):
                return found
        raise DataError(
            f"the sequence `{sequence.name}`: of {_DRAWS} pairs of frames that were drawn each has "
            f"a box outside its image, the last one {sequence.frames.name(pair.template)} and "
            f"{sequence.frames.name(pair.search)}: mend the boxes"
        )

    def _sequence(self, pair: Pair) -> Sequence:
        return self.pools[pair.pool].source.sequences[pair.sequence]

    def _window(self, box: Floats, rng: np.random.Generator | None) -> Window:
        crop, size = self.recipe.crop, self.recipe.backbone.input_size
        if rng is None:
            return Window.of(box, crop.search_factor, size)
        return Window.jittered(
            box, crop.search_factor, size, crop.scale_jitter, crop.shift_jitter, rng
        )

    def _crops(
        self, views: _Views, window: Window, rng: np.random.Generator | None
    ) -> dict[str, Any]:
        crop, size = self.recipe.crop, self.recipe.backbone.input_size
        around = Window.of(views.template_box, crop.template_factor, crop.template_size)
        template = around.cut(views.template, crop.template_size, mean_colour(views.template))
        search = window.cut(views.search, size, mean_colour(views.search))
        if rng is not None:
            template, search = disturb(template, search, self.recipe.augmentation, rng)
        return {"template": _planes(template), "image": _planes(search)}

    def _label(self, box: Floats, window: Window) -> NDArray[np.float32]:
        size = self.recipe.backbone.input_size
        return clip(window.to_crop(corners(box)), size, MARGIN).astype(np.float32)

    def _other_label(self, rng: np.random.Generator, still: bool) -> NDArray[np.float32]:
        pair = self.pairs.draw(rng)
        box = self._sequence(pair).boxes[pair.search]
        return self._label(box, self._window(box, None if still else rng))

    def _require_use(self) -> None:
        if self.unused:
            raise DataError(f"the {self.split} split has no samples: {_UNUSED}")


def _require_start(sequence: Sequence) -> None:
    x, y, width, height = sequence.boxes[0].tolist()
    if not (np.isfinite((x, y)).all() and 0 < width < np.inf and 0 < height < np.inf):
        raise DataError(
            f"the sequence `{sequence.name}` cannot be followed: its first box, of frame "
            f"{sequence.frames.name(0)}, is {x:g}, {y:g}, {width:g}, {height:g}"
        )


def _part(pool: Pool, share: float, seed: int) -> Pool:
    names = [pool.source.sequences[row].name for row in pool.rows.tolist()]
    return pool.part(subset(None, names, share, seed))


def _meets(image: Pixels, box: Floats) -> bool:
    """Whether a box that does not end left of or above an image has a part in it."""
    height, width = image.shape[:2]
    return bool(box[0] < width and box[1] < height)


def _skipped(pools: tuple[Pool, ...], trains: bool) -> dict[str, int]:
    found: dict[str, int] = {}
    for pool in pools:
        without = {"no usable box": pool.without} if trains and pool.without else {}
        for reasons in (pool.source.skipped, without):
            for reason, count in reasons.items():
                found[reason] = found.get(reason, 0) + count
    return found


def _facts(pools: tuple[Pool, ...]) -> dict[str, Any]:
    sets: list[dict[str, Any]] = [
        {
            "name": pool.source.name,
            "weight": pool.weight,
            "sequences": len(pool) + pool.without,
            "frames": pool.total,
            "frames_without_box": pool.total - len(pool.frames),
        }
        for pool in pools
    ]
    sums = {
        key: sum(each[key] for each in sets)
        for key in ("sequences", "frames", "frames_without_box")
    }
    return sums | {"sets": sets, "notes": [note for p in pools for note in p.source.notes]}


def _planes(image: Pixels) -> Pixels:
    return np.stack(cv2.split(image)).astype(np.uint8, copy=False)
