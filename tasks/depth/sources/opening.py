"""Opening one split of a data set."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING

from tasks.contract import DataError, Split
from tasks.depth.sources import folder, microworld, official
from tasks.depth.sources.contract import Listing, Pair
from tasks.depth.sources.files import Files
from tasks.depth.sources.holding import held_out
from tasks.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.depth.recipe import DepthData
    from tasks.depth.sources.contract import Source

    Read = Callable[[Split], Listing | None]

SELECTED = "in the selection split"


def open_source(data: DepthData, split: Split, max_depth: float) -> Source:
    """Open a split.

    Args:
        max_depth: the largest depth that is measured, see `maps.read`.

    Raises:
        DataError: files that are missing (with the expected layout) or malformed.
    """
    if data.name == "microworld":
        return microworld.open_world(data, split)
    published = official.PUBLICATIONS.get(data.name)
    layout = folder.LAYOUT if published is None else official.how_to_get(published)
    if data.root is None:
        raise DataError(f"`{data.name}` needs --data-root DIR; expected there: {layout}")
    if not data.root.is_dir():
        raise DataError(f"there is no folder `{printable(str(data.root))}`; {layout}")
    root = official.home(data.root, data.name)
    read = folder.listing if published is None else official.listing
    found = _part(data, split, lambda part: read(root, data, part))
    unit = data.unit if published is None else published.unit
    if unit is None:
        _declared(root, found.pairs)
    return Files(
        root,
        found.pairs,
        unit,
        max_depth,
        published is not None and published.kb_crop,
        folder.LICENCE if published is None else published.licence,
        found.skipped,
        found.notes,
    )


def _part(data: DepthData, split: Split, read: Read) -> Listing:
    """The pairs of a split, of which selection may have to be made, and no test image is seen."""
    if split == "test":
        return _there(read("test"))
    own = read("selection")
    if split == "selection" and own is not None:
        return replace(own, notes=_shared(data, own.pairs, split, read))
    train = _there(read("training"))
    if own is not None:
        train = _joined(train, own) if data.join_selection else _apart(train, own)
    notes = _shared(data, train.pairs, "training", read)
    if own is not None:
        return replace(train, notes=notes)
    sequences, names = ([getattr(pair, of) for pair in train.pairs] for of in ("sequence", "name"))
    held = held_out(sequences, names, data.held_out, data.held_out_seed)
    if len(set(sequences)) == 1:
        notes = (*notes, "selection: single images, since the training images are one sequence")
    if split == "selection":
        return Listing(_where(train.pairs, held.tolist()), notes=notes)
    pairs = train.pairs if data.join_selection else _where(train.pairs, (~held).tolist())
    return replace(train, pairs=pairs, notes=notes)


def _joined(train: Listing, own: Listing) -> Listing:
    """Training images and those of selection, each once."""
    skipped = dict(Counter(train.skipped) + Counter(own.skipped))
    return Listing((*train.pairs, *_others(own, train)), skipped)


def _apart(train: Listing, own: Listing) -> Listing:
    """Training images without those of selection."""
    pairs = _others(train, own)
    if len(pairs) == len(train.pairs):
        return train
    return Listing(pairs, train.skipped | {SELECTED: len(train.pairs) - len(pairs)})


def _others(of: Listing, known: Listing) -> tuple[Pair, ...]:
    """Those of one listing whose images are not in the other; lists may call one file otherwise."""
    images = {pair.image for pair in known.pairs}
    return tuple(pair for pair in of.pairs if pair.image not in images)


def _where(pairs: tuple[Pair, ...], wanted: list[bool]) -> tuple[Pair, ...]:
    return tuple(compress(pairs, wanted))


def _there(found: Listing | None) -> Listing:
    assert found is not None
    return found


def _shared(data: DepthData, pairs: tuple[Pair, ...], split: Split, read: Read) -> tuple[str, ...]:
    """Look for test images in another split; a part of a data set for trials may have some."""
    given = data.lists is not None and data.lists.selection is not None
    if data.name in official.PUBLICATIONS and not data.partial and not given:
        return ()  # The lists are the published ones, which share no image.
    test = {pair.image for pair in _there(read("test")).pairs}
    both = [pair.name for pair in pairs if pair.image in test]
    if not both:
        return ()
    said = f"images in both {split} and test: {len(both)}"
    if data.partial:
        return (said,)
    raise DataError(
        f"{said}, the first is `{printable(both[0])}`; take them out of one, or keep and note them "
        "with --set data.partial=true"
    )


def _declared(root: Path, pairs: tuple[Pair, ...]) -> None:
    first = next((pair.depth for pair in pairs if pair.depth.lower().endswith(".png")), None)
    if first is not None:
        raise DataError(
            f"the unit of the depth maps in `{printable(str(root))}`, such as `{printable(first)}`,"
            " is not declared; say how many of their numbers are a metre, as --set data.unit=1000 "
            "for millimetres"
        )
