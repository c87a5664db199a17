"""Holm's correction for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """The adjusted p values, in the order given.

    Calling a difference real where its adjusted value is below 0.05 calls any real that is not with
    a probability of at most 0.05, however the tests depend on each other (Holm, Scandinavian
    Journal of Statistics 6, 1979).

    Raises:
        ValueError: a value outside of [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p values lie in [0, 1]; got {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    so_far = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        so_far = max(so_far, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = so_far
    return adjusted
