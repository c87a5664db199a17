"""Selection splits held out of training, and images that are in a data set more than once."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.contract import DataError
from tasks.subsets import exact, first_of_each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from tasks.classification.datasets.contract import Part

    Place = tuple[str, int]
    Progress = Callable[[int, int], None] | None

_END = 4096
_FEW = 3


def hold_out(
    labels: NDArray[np.int64], names: Sequence[str], share: float, seed: int
) -> NDArray[np.bool_]:
    """Which training images are held out for selection, (N,).

    Of a class of n it is ceil(share * n), but one stays in training; with several labels an image
    (N,C) the images are one class. The choice is a function of the images' names and the seed.

    Args:
        labels: (N,) class numbers, or (N,C).
        names: of the images, all different.
        share: in (0,1).
        seed: decides which.

    Raises:
        ValueError: a share outside the range, or a name that comes twice.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share must be between 0 and 1, not {share}")
    return first_of_each(
        labels, names, f"held out/{seed}", lambda n: min(math.ceil(exact(share * n)), n - 1)
    )


@dataclass(frozen=True)
class Duplicates:
    """Images with the same content, by their names.

    Attributes:
        across: one pair for each content and each two parts that share it.
        within: part -> number of images that are there already.
        contradicting: pairs of one part with different labels.
    """

    across: tuple[tuple[str, str], ...]
    within: dict[str, int]
    contradicting: tuple[tuple[str, str], ...]


def duplicates(parts: Mapping[str, Part], progress: Progress = None) -> Duplicates:
    """Find images that are the same bytes.

    Sizes are compared first, then the last bytes of those of one size, and only then everything.
    Images that cannot be read are nobody's duplicates.

    Args:
        parts: name -> part.
        progress: `(done, total)` images, in each of the three rounds.
    """
    return _summary(parts, _same(parts, progress))


def copies(part: Part, progress: Progress = None) -> list[list[int]]:
    """The rows of images that are the same bytes, a list for each content that is there twice."""
    return [[row for _, row in group] for group in _same({"": part}, progress)]


def _same(parts: Mapping[str, Part], progress: Progress) -> list[list[Place]]:
    def size(place: Place) -> int:
        return parts[place[0]].images.size(place[1])

    def end(place: Place) -> bytes:
        return parts[place[0]].images.end(place[1], _END)

    def content(place: Place) -> bytes:
        return hashlib.sha256(parts[place[0]].images.content(place[1])).digest()

    groups = [[(name, row) for name, part in parts.items() for row in range(len(part.images))]]
    for measure in (size, end, content):
        groups = _alike(groups, measure, progress)
    return groups


def judged(found: Duplicates, rule: Literal["refuse", "count"]) -> tuple[str, ...]:
    """Say what was found, a line each.

    Raises:
        DataError: an image is in two splits, and the rule is to refuse.
    """
    notes = []
    if found.across:
        first, second = found.across[0]
        if rule == "refuse":
            more = f" (and {len(found.across) - 1} more)" if len(found.across) > 1 else ""
            raise DataError(
                f"one image is in two splits: `{first}` and `{second}`{more}; remove one of them, "
                "or keep and count them with --set data.duplicates=count"
            )
        notes.append(f"in two splits: {_listed(found.across)}")
    notes += [
        f"repeated within `{part}`: {count} image{'s' * (count > 1)}"
        for part, count in found.within.items()
        if count
    ]
    if found.contradicting:
        notes.append(f"one image under two labels: {_listed(found.contradicting)}")
    return tuple(notes)


def _alike(
    groups: list[list[Place]], measure: Callable[[Place], int | bytes], progress: Progress
) -> list[list[Place]]:
    """Split groups by what is measured; who is alone then, or cannot be read, falls out."""
    total, done = sum(map(len, groups)), 0
    kept = []
    for group in groups:
        table: dict[int | bytes, list[Place]] = defaultdict(list)
        for place in group:
            with suppress(DataError):
                table[measure(place)].append(place)
            done += 1
            if progress is not None:
                progress(done, total)
        kept += [same for same in table.values() if len(same) > 1]
    return kept


def _summary(parts: Mapping[str, Part], groups: list[list[Place]]) -> Duplicates:
    across: list[tuple[str, str]] = []
    within = Counter(dict.fromkeys(parts, 0))
    contradicting: list[tuple[str, str]] = []

    def pair(one: Place, other: Place) -> tuple[str, str]:
        first, second = (parts[part].images.name(row) for part, row in (one, other))
        return first, second

    for group in groups:
        firsts: dict[str, Place] = {}
        for place in group:
            part, row = place
            first = firsts.setdefault(part, place)
            if first is place:
                continue
            within[part] += 1
            if not np.array_equal(parts[part].labels[first[1]], parts[part].labels[row]):
                contradicting.append(pair(first, place))
        across += [pair(*two) for two in combinations(firsts.values(), 2)]
    return Duplicates(tuple(across), dict(within), tuple(contradicting))


def _listed(pairs: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"`{one}` and `{other}`" for one, other in pairs[:_FEW])
    return shown if len(pairs) <= _FEW else f"{shown} and {len(pairs) - _FEW} pairs more"
