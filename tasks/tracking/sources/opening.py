"""Opening the splits of a data set, and the sets that training pairs are drawn from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tasks.contract import DataError, RecipeError, Split
from tasks.names import printable
from tasks.subsets import exact, first_of_each
from tasks.tracking.sources import coco, microworld, opened, places, text
from tasks.tracking.sources.contract import MissingError
from tasks.tracking.sources.opened import ON_PURPOSE

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.tracking.recipe import TrackingData, TrainingSet
    from tasks.tracking.sequences import Source
    from tasks.tracking.sources.building import Found
    from tasks.tracking.sources.opened import Opened


def open_source(data: TrackingData, split: Split) -> Source:
    """Open a split of a data set: test, its own or a held-out selection, or its own training
    sequences without those that are held out.

    Of selection and test `data.limit` sequences are read, of training all.

    Raises:
        DataError: files that are missing (with the expected layout) or malformed, or other
            sequences than were published.
        RecipeError: the data set has no such split.
    """
    if data.name == "microworld":
        return microworld.open_world(data, split)
    own = opened.own(data)
    part = own.part(split)
    if split == "test":
        assert part is not None
        return own.source(own.find(part)[: data.limit])
    if split == "selection":
        if part is not None:
            return own.source(own.find(part)[: data.limit])
        home, found = _selecting(data, own)
        return home.source(_held(found, data, True)[: data.limit])
    if part is None:
        raise RecipeError(_test_only(own))
    found = own.find(part)
    notes = _unshared(found, own, own, data)
    if own.part("selection") is None:
        found = _held(found, data, False)
    return own.source(found, notes=notes)


def open_training_sets(data: TrackingData) -> tuple[tuple[Source, float], ...]:
    """The sets that pairs are drawn from, with their weights: `data.sets`, or the data set's own
    training split.

    Where the data set has no selection split of its own, that is taken from the first of
    `data.sets` with videos, and left out here.

    Raises:
        DataError: as `open_source`.
        RecipeError: the data set has no training split, and no other is named.
    """
    if not data.sets:
        return ((open_source(data, "training"), 1.0),)
    own = opened.own(data)
    selecting = _videos(data) if own.part("selection") is None else None
    return tuple((_training(one, data, own, one is selecting), one.weight) for one in data.sets)


def _training(one: TrainingSet, data: TrackingData, own: Opened, selecting: bool) -> Source:
    if one.name == "coco":
        if one.exclude is not None:
            raise RecipeError("`exclude` is for videos: COCO's objects have no names of theirs")
        return coco.open_images(one.root, data.partial)
    home = opened.other(one, data)
    found = home.find("train")
    kept = _without(found, one, data.partial)
    notes = _unshared(kept, home, own, data)
    if own.name == "vot" and one.name == "got10k" and one.exclude is None:
        notes += ("VOT and GOT-10k's training split share videos: `exclude` takes a list of them",)
    skipped = {"excluded by name": len(found) - len(kept)} if len(kept) < len(found) else {}
    return home.source(_held(kept, data, False) if selecting else kept, skipped, notes)


def _videos(data: TrackingData) -> TrainingSet | None:
    return next((one for one in data.sets if one.name != "coco"), None)


def _selecting(data: TrackingData, own: Opened) -> tuple[Opened, list[Found]]:
    """Of whose training sequences the selection split is a part, and these."""
    if data.sets:
        one = _videos(data)
        if one is None:
            raise RecipeError(
                f"`{data.name}` has no selection split and `data.sets` no videos to take it from: "
                "add a set of videos"
            )
        home = opened.other(one, data)
        return home, _without(home.find("train"), one, data.partial)
    if own.part("training") is None:
        raise RecipeError(_test_only(own))
    return own, own.find("train")


def _test_only(own: Opened) -> str:
    return (
        f"`{own.name}` has test sequences alone: name what is trained on, such as --set "
        "'data.sets=[{name: got10k, root: DIR}]', or train nothing (model.type=correlation)"
    )


def _held(found: list[Found], data: TrackingData, wanted: bool) -> list[Found]:
    """The sequences that are held out for selection, or the others: of N it is `data.held_out`
    times N, rounded up, the first ones by a hash of seed and name."""
    if len(found) < 2:
        raise DataError("of one training sequence none can be held out for selection; give more")
    salt = f"held out/{data.held_out_seed}"
    names = [one.name for one in found]
    chosen = first_of_each(
        None, names, salt, lambda n: min(n - 1, math.ceil(exact(data.held_out * n)))
    )
    return [one for one, held in zip(found, chosen, strict=True) if held == wanted]


def _without(found: list[Found], one: TrainingSet, partial: bool) -> list[Found]:
    """Those that the set's file of names does not exclude."""
    if one.exclude is None:
        return found
    excluded = _names(one.exclude)
    unknown = excluded - {other.name for other in found}
    if unknown and not partial:
        raise DataError(
            f"`{printable(str(one.exclude))}` excludes {len(unknown)} sequences that `{one.name}` "
            f"does not have, such as `{printable(min(unknown))}` {ON_PURPOSE}"
        )
    return [other for other in found if other.name not in excluded]


def _names(path: Path) -> set[str]:
    return set(text.names(places.Folder(path.parent), path.name))


def _unshared(found: list[Found], home: Opened, own: Opened, data: TrackingData) -> tuple[str, ...]:
    """See that no test sequence is trained on. Of one data set a name says that it is, and of two
    that it may be.

    Raises:
        DataError: there are some, and this is no trial.
    """
    test = _test_names(own)
    both = sorted(test.intersection(one.name for one in found))
    if not both:
        return ()
    said = f"sequences in both training ({home.name}) and test ({own.name}), by name: {len(both)}"
    said += f", the first is `{printable(both[0])}`"
    if home.name != own.name or data.partial:
        return (said,)
    raise DataError(f"{said}; take them out of one, or keep and note them {ON_PURPOSE}")


def _test_names(own: Opened) -> set[str]:
    part = own.part("test")
    assert part is not None
    try:
        return {one.name for one in own.layout.find(own.root, part)}
    except MissingError:
        return set()  # Training alone does not need them.
