"""Parts of a training set for low-label curves: nested, balanced, the same wherever it lies."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


def subset(
    labels: NDArray[np.int64] | None, names: Sequence[str], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Which samples belong to a part of a set, (N,).

    Of a class of n it is round(fraction * n), at least one: those first in an order that is a
    function of the names and the seed. A smaller part is therefore contained in a larger one.

    Args:
        labels: (N,) class numbers; without them, or with several an image (N,C), the samples are
            one class.
        names: of the samples, all different.
        fraction: in (0,1].
        seed: decides the order.

    Raises:
        ValueError: a fraction outside the range, or a name that comes twice.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"the fraction must be above 0 and at most 1, not {fraction}")
    return first_of_each(
        labels, names, f"fraction/{seed}", lambda n: max(1, math.floor(exact(fraction * n) + 0.5))
    )


def first_of_each(
    labels: NDArray[np.int64] | None,
    names: Sequence[str],
    salt: str,
    count: Callable[[int], int],
) -> NDArray[np.bool_]:
    """Choose `count(n)` of the n samples of each class, (N,): those whose hashed names, salted,
    are the smallest.

    Raises:
        ValueError: a name that comes twice: its order would be nobody's choice.
    """
    if len(set(names)) != len(names):
        raise ValueError("two samples have the same name")
    keys = np.array([_key(salt, name) for name in names], dtype="S32")
    order = np.argsort(keys)
    chosen = np.zeros(len(names), np.bool_)
    if labels is None or labels.ndim > 1:
        chosen[order[: count(len(order))]] = True
        return chosen
    ordered = labels[order]
    # Stable: within a class the order of the keys stays.
    for rows in np.split(*_classes(ordered)):
        chosen[order[rows[: count(len(rows))]]] = True
    return chosen


def held_out(ids: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Which of N images are kept from training, (N,): the first `share` of them, rounded up, in the
    order of a hash of the seed and their ids: the same ones wherever a file is read.

    Raises:
        ValueError: an id that comes twice.
    """
    names = [str(number) for number in ids.tolist()]
    return first_of_each(None, names, str(seed), lambda n: math.ceil(share * n))


def exact(product: float) -> float:
    """A share times a count without the last digits: 0.07 * 100 is 7, not 7.000000000000001."""
    return round(product, 9)


def _key(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt}/{name}".encode()).hexdigest()[:32]


def _classes(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows sorted by class, and where each class but the first begins."""
    rows = np.argsort(labels, kind="stable")
    return rows, np.flatnonzero(np.diff(labels[rows])) + 1
