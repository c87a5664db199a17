"""The checks of what callers of `load` and `create` give, and of what files say of themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

from backbones.errors import LoadError

Size = tuple[int, int]
Colour = tuple[float, float, float]


def as_whole(value: Any, what: str, least: int = 0) -> int:
    """Return a whole number, numpy's included.

    Raises:
        LoadError: anything else, true and false included, or less than `least`.
    """
    if not _is_whole(value) or value < least:
        raise LoadError(f"{what}: expected a whole number from {least}, got {value!r}")
    return int(value)


def as_number(value: Any, what: str) -> float:
    """Return a finite number, numpy's included.

    Raises:
        LoadError: anything else, true and false included.
    """
    number = _as_float(value)
    if not isfinite(number):
        raise LoadError(f"{what}: expected a finite number, got {value!r}")
    return number


def as_rate(value: Any, what: str) -> float:
    """Return a number from 0 to below 1.

    Raises:
        LoadError: anything else.
    """
    rate = _as_float(value)
    if not 0 <= rate < 1:
        raise LoadError(f"{what}: expected a rate from 0 to below 1, got {value!r}")
    return rate


def as_size(value: Any, what: str) -> Size:
    """Return (height, width) of one side or of both.

    Raises:
        LoadError: not one or two positive whole numbers.
    """
    pair = value if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or not all(_is_whole(side) and side > 0 for side in pair):
        raise LoadError(f"{what}: expected pixels or (height, width), got {value!r}")
    return int(pair[0]), int(pair[1])


def as_stages(value: Any, what: str, least: int = 0) -> tuple[int, ...]:
    """Return whole numbers, one a stage or a single one; true and false are 1 and 0.

    Raises:
        LoadError: anything else, or less than `least`.
    """
    several = isinstance(value, Sequence) and not isinstance(value, str)
    numbers = value if several else [value]
    if not numbers:
        raise LoadError(f"{what}: expected a number for each stage, got {value!r}")
    return tuple(as_whole(int(n) if isinstance(n, bool) else n, what, least) for n in numbers)


def as_colour(values: Any, what: str) -> Colour:
    """Return three numbers, one for red, green and blue.

    Raises:
        LoadError: anything else, or a "std" that is not positive.
    """
    try:
        red, green, blue = (as_number(value, what) for value in values)
    except (TypeError, ValueError) as error:
        raise LoadError(f"{what}: expected three numbers, got {values!r}") from error
    if what == "std" and min(red, green, blue) <= 0:
        raise LoadError(f"std: expected three numbers above 0, got {values!r}")
    return red, green, blue


def as_fields(given: Any) -> dict[str, Any]:
    """Return what `arch` gives, nothing for None.

    Raises:
        LoadError: not a mapping from names.
    """
    fields = {} if given is None else given
    if not isinstance(fields, Mapping) or not all(isinstance(key, str) for key in fields):
        raise LoadError(f"arch: expected fields by name, as {{'num_heads': 3}}, got {given!r}")
    return dict(fields)


def check_keep(keep: Any, known: Collection[str]) -> None:
    """Raise LoadError for parts that there are not."""
    names = sorted(known)
    several = isinstance(keep, Collection) and not isinstance(keep, str)
    if not several or any(part not in names for part in keep):
        raise LoadError(f"keep: expected some of {', '.join(names)}, got {keep!r}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _as_float(value: Any) -> float:
    """Return a number as float; infinity for what is too large, or no number at all."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return inf
    try:
        return float(value)
    except OverflowError:
        return inf
