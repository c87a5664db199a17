"""Which of several values is above which, as far as their errors tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from results.components import Part, p_value
from results.holm import holm

if TYPE_CHECKING:
    from harness.analysis.inspected import Floats, Inspected, Numbers

LEVEL = 0.05
"""The chance that any of the differences called real on a page is none."""
PARTS = ("all blocks", "early third", "late third")


class Estimate(NamedTuple):
    """A value of one encoder.

    Attributes:
        value: the mean over the blocks.
        error: its standard error over images, or an upper bound of it; None where none is known.
        n: number of images.
        images: (n,) the value of each image, whose mean is `value`; None where it was not kept.
    """

    value: float
    error: float | None
    n: int
    images: Floats | None


class Difference(NamedTuple):
    """Of two values, the first being the higher.

    Attributes:
        higher, lower: what they are of.
        value: of the difference, not negative.
        error: its standard error; None where none is known.
        p: of no difference; 1 where no error is known.
    """

    higher: str
    lower: str
    value: float
    error: float | None
    p: float


def estimate(one: Inspected, measure: str, part: str = PARTS[0]) -> Estimate | None:
    """The mean over the blocks of a part; None where there are no rows, or fewer than three blocks
    to take a third of.

    Without values of single images, the mean of the blocks' standard errors bounds that of their
    mean, however the blocks depend on each other.

    Raises:
        ValueError: `by_image` has other blocks than the rows.
    """
    rows = one.by_block(measure)
    count = len(rows)
    if not count or (part != PARTS[0] and count < 3):
        return None
    third = count // 3
    where = {PARTS[0]: slice(None), PARTS[1]: slice(0, third), PARTS[2]: slice(count - third, None)}
    return _estimate(one, measure, np.arange(count)[where[part]])


def estimate_at(one: Inspected, measure: str, place: int) -> Estimate:
    """The value of one block, by its place among those that have a row."""
    return _estimate(one, measure, np.array([place]))


def _estimate(one: Inspected, measure: str, places: Numbers) -> Estimate:
    rows = one.by_block(measure)
    value, n = float(rows.values[places].mean()), int(rows.n[places].min())
    kept = one.by_image(measure)
    if kept is not None:
        images = kept[:, places].mean(axis=1)
        # What is no mean over images, such as the length of a mean, has no error by them.
        if len(images) > 1 and np.isclose(images.mean(), value, rtol=1e-6, atol=1e-9):
            error = float(images.std(ddof=1) / np.sqrt(len(images)))
            return Estimate(value, error, len(images), images)
    error = float(rows.errors[places].mean())
    return Estimate(value, error if np.isfinite(error) and n > 1 else None, n, None)


def difference(first: tuple[str, Estimate], second: tuple[str, Estimate]) -> Difference:
    """Of two encoders, or two parts of one, seen with the same images.

    Paired by image where both have each image's value. Else the sum of the two standard errors
    bounds that of the difference, whatever the values share.
    """
    (higher, a), (lower, b) = sorted((first, second), key=lambda pair: -pair[1].value)
    value = a.value - b.value
    if a.images is not None and b.images is not None and len(a.images) == len(b.images):
        error: float | None = float((a.images - b.images).std(ddof=1) / np.sqrt(a.n))
    elif a.error is not None and b.error is not None:
        error = a.error + b.error
    else:
        error = None
    return Difference(higher, lower, value, error, _p(value, error, min(a.n, b.n)))


def differences(estimates: Sequence[tuple[str, Estimate]]) -> list[Difference]:
    """Of all pairs, the highest values first."""
    ordered = sorted(estimates, key=lambda pair: -pair[1].value)
    return [difference(a, b) for a, b in combinations(ordered, 2)]


def real(found: Sequence[Difference]) -> list[bool]:
    """Which differences are real: Holm's correction over those that have an error."""
    known = [each.p for each in found if each.error is not None]
    adjusted = iter(holm(known))
    return [each.error is not None and next(adjusted) < LEVEL for each in found]


def _p(value: float, error: float | None, n: int) -> float:
    if error is None or not np.isfinite(value):
        return 1.0
    if error == 0:
        return 0.0 if value else 1.0
    return p_value([Part(error**2, n - 1)], value)
