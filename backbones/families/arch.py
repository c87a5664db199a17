"""Reading architectures: from overrides, shapes and the published table of widths."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from math import isqrt
from typing import Any, TypeVar

from torch import Tensor

from backbones.errors import LoadError

HEADS_BY_WIDTH = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
"""Heads of the published plain ViTs (Dosovitskiy et al., 2021; Touvron et al., 2021)."""

Built = TypeVar("Built")


def from_dict(kind: type[Built], values: Mapping[str, Any]) -> Built:
    """Build a frozen dataclass, sizes as pairs.

    Raises:
        LoadError: unknown or missing fields, or a value of the wrong type.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    check_keys(values, fields)
    missing = [
        name
        for name, f in fields.items()
        if name not in values and f.default is dataclasses.MISSING
    ]
    if missing:
        raise LoadError(
            f"the architecture needs {', '.join(missing)}; give arch={{{missing[0]!r}: ...}}"
        )
    return kind(**{name: _checked(name, str(fields[name].type), v) for name, v in values.items()})


def check_keys(given: Mapping[str, Any], known: Any) -> None:
    """Raise LoadError for fields of an architecture that do not exist."""
    wrong = [key for key in given if key not in known]
    if wrong:
        raise LoadError(
            f"unknown fields of the architecture: {', '.join(wrong)}; "
            f"known: {', '.join(sorted(known))}"
        )


def _checked(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("Size"):
        pair = (value, value) if isinstance(value, int) else tuple(value)
        if len(pair) == 2 and all(isinstance(v, int) and v > 0 for v in pair):
            return pair
        raise LoadError(f"{name}: expected a size in pixels or (height, width), got {value!r}")
    if kind == "int" and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise LoadError(f"{name}: expected a whole number from 0, got {value!r}")
    if kind == "bool" and not isinstance(value, bool):
        raise LoadError(f"{name}: expected true or false, got {value!r}")
    if kind.startswith("float") and not isinstance(value, int | float | None):
        raise LoadError(f"{name}: expected a number, got {value!r}")
    return value


def depth_of(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of blocks: one more than the highest number after `prefix`."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    found = [int(m.group(1)) for name in tensors if (m := pattern.match(name))]
    return max(found, default=-1) + 1


PATCH = ("width", "3", "patch", "patch")
FC1 = ("units", "width")
TABLE = ("1", "places", "width")
HEAD = ("classes", "width")
"""The axes of tensors that architectures are read off."""


def need(tensors: Mapping[str, Tensor], name: str, axes: Sequence[str]) -> Tensor:
    """Return a tensor without which no architecture can be read.

    Args:
        tensors: of the file, under the names of the model.
        name: which one.
        axes: what its axes are; their number is checked, and that none is empty.

    Raises:
        LoadError: it is missing, or has other axes.
    """
    found = perhaps(tensors, name, axes)
    if found is None:
        raise LoadError(
            f"the file has no {name.removeprefix('encoder.')}; it is not a whole encoder"
        )
    return found


def perhaps(tensors: Mapping[str, Tensor], name: str, axes: Sequence[str]) -> Tensor | None:
    """Return a tensor that a file need not have, or None; see `need`.

    Raises:
        LoadError: it has other axes.
    """
    found = tensors.get(name)
    if found is not None and (found.ndim != len(axes) or 0 in found.shape):
        raise LoadError(
            f"the file's {name.removeprefix('encoder.')} has shape {tuple(found.shape)}, expected "
            f"({', '.join(axes)}); it is not an encoder of this layout, or was saved wrongly"
        )
    return found


def rows_of(tensors: Mapping[str, Tensor], name: str, axes: Sequence[str], axis: int = 0) -> int:
    """Return a tensor's extent along an axis, 0 if it is not there; see `perhaps`."""
    found = perhaps(tensors, name, axes)
    return 0 if found is None else int(found.shape[axis])


def heads(width: int, given: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """Return the number of heads, as given or from the published table of widths, and a note.

    Raises:
        LoadError: none of them tells.
    """
    if "num_heads" in given:
        return given["num_heads"], ()
    if width in HEADS_BY_WIDTH:
        number = HEADS_BY_WIDTH[width]
        return number, (f"num_heads={number} from the published table of widths (width {width})",)
    raise ask("num_heads", f"no published ViT is {width} wide")


def ask(key: str, why: str) -> LoadError:
    """Return the error that asks for what neither the file nor a rule tells."""
    return LoadError(
        f"the file does not tell {key} and {why}; give it: --set backbone.{key}=3 "
        f"(arch={{{key!r}: 3}})"
    )


def norm_note(given: Mapping[str, Any], eps: float) -> tuple[str, ...]:
    """Return the note on the norms' epsilon, which no file tells."""
    return () if "norm_eps" in given else (f"layer norm epsilon {eps:g} by the family's rule",)


def check_heads(width: int, number: int, key: str = "num_heads") -> None:
    """Raise LoadError where the heads do not divide the width."""
    if number < 1 or width % number:
        raise LoadError(f"{key}: expected a divisor of the width {width}, got {number}")


def check_head(num_classes: int, keep: Collection[str]) -> None:
    """Raise LoadError where a classifier without classes is to be kept."""
    if "head" in keep and not num_classes:
        raise LoadError("there is no classifier to keep: num_classes is 0")


def square_side(count: int, what: str) -> int:
    """Return the side of a square grid with `count` cells.

    Raises:
        LoadError: there is none.
    """
    side = isqrt(count) if count > 0 else 0
    if side < 1 or side * side != count:
        raise LoadError(
            f"{what} has {count} places, which is no square; "
            "give the size of the training images: arch={'image_size': [height, width]}"
        )
    return side


def shorten(arch: Mapping[str, Any], drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a ViT's architecture without its last blocks, and the prefixes of what goes.

    Raises:
        LoadError: fewer than 0 or all blocks are to go.
    """
    depth: int = arch["depth"]
    if not 0 <= drop_last < depth:
        raise LoadError(f"drop_last: expected 0 to {depth - 1} of {depth} blocks, got {drop_last}")
    kept = depth - drop_last
    prefixes = tuple(f"encoder.blocks.{i}." for i in range(kept, depth))
    return {**arch, "depth": kept}, prefixes
