"""The checks of what callers of `load` and `create` give."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from backbones.errors import LoadError

Size = tuple[int, int]
Colour = tuple[float, float, float]


def check_keep(keep: Collection[str], known: Collection[str]) -> None:
    """Raise LoadError for parts that there are not."""
    if isinstance(keep, str) or set(keep) - set(known):
        raise LoadError(f"keep: expected some of {', '.join(sorted(known))}, got {keep!r}")


def check_drop_path(rate: float) -> None:
    """Raise LoadError for a rate outside [0,1)."""
    if not 0 <= rate < 1:
        raise LoadError(f"drop_path: expected a rate from 0 to below 1, got {rate}")


def as_size(given: int | Size | None, own: Size | None) -> Size:
    """Return (height, width) of what is given, or `own`.

    Raises:
        LoadError: not one or two positive whole numbers.
    """
    value: Any = own if given is None else given
    pair = (value, value) if isinstance(value, int) else tuple(value or ())
    if len(pair) != 2 or not all(isinstance(v, int) and v > 0 for v in pair):
        raise LoadError(f"input_size: expected pixels or (height, width), got {given!r}")
    return pair[0], pair[1]


def as_colour(values: Any, what: str) -> Colour:
    """Return three numbers, one for red, green and blue.

    Raises:
        LoadError: anything else, or a "std" that is not positive.
    """
    try:
        red, green, blue = (float(v) for v in values)
    except (TypeError, ValueError) as error:
        raise LoadError(f"{what}: expected three numbers, got {values!r}") from error
    if what == "std" and min(red, green, blue) <= 0:
        raise LoadError(f"std: expected three numbers above 0, got {values!r}")
    return red, green, blue
