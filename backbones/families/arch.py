"""Reading architectures: from overrides, shapes and the published table of widths."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from math import isqrt
from typing import Any, TypeVar

from torch import Tensor

from backbones.arguments import as_number, as_size, as_stages, as_whole
from backbones.errors import LoadError

HEADS_BY_WIDTH = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
"""Heads of the published plain ViTs (Dosovitskiy et al., 2021; Touvron et al., 2021)."""

Built = TypeVar("Built")


def from_dict(kind: type[Built], values: Mapping[str, Any]) -> Built:
    """Build a frozen dataclass from fields that `read_fields` can read.

    Raises:
        LoadError: unknown or missing fields, or a value of the wrong type or range.
    """
    given = read_fields(kind, values)
    missing = [f.name for f in _fields(kind) if f.name not in given and _is_needed(f)]
    if missing:
        raise LoadError(
            f"the architecture needs {', '.join(missing)}; give arch={{{missing[0]!r}: ...}}"
        )
    return kind(**given)


def read_fields(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return some fields of a dataclass in their types: sizes as pairs, numbers as Python's own.

    Raises:
        LoadError: unknown fields, or a value of the wrong type or range.
    """
    fields = {f.name: f for f in _fields(kind)}
    check_keys(values, fields)
    return {name: _checked(fields[name], value) for name, value in values.items()}


def check_keys(given: Mapping[str, Any], known: Any) -> None:
    """Raise LoadError for fields of an architecture that do not exist."""
    wrong = [key for key in given if key not in known]
    if wrong:
        raise LoadError(
            f"unknown fields of the architecture: {', '.join(wrong)}; "
            f"known: {', '.join(sorted(known))}"
        )


def _fields(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(kind)


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    name, kind = field.name, str(field.type)
    if kind == "Size":
        return as_size(value, name)
    if kind == "Stages":
        return as_stages(value, name, least=1 if _is_needed(field) else 0)
    if kind == "int":
        # Counts that every network needs are of things that it has; the others may be 0.
        return as_whole(value, name, least=1 if _is_needed(field) else 0)
    if kind.startswith("float"):
        return None if value is None and kind.endswith("None") else as_number(value, name)
    wanted, words = _TYPES.get(kind, (object, ""))
    if not isinstance(value, wanted):
        raise LoadError(f"{name}: expected {words}, got {value!r}")
    return value


_TYPES: dict[str, tuple[type, str]] = {"bool": (bool, "true or false"), "str": (str, "text")}


def depth_of(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of blocks, which are numbered after `prefix`.

    Raises:
        LoadError: their numbers are not 0, 1, 2 and so on.
    """
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    found = {m.group(1): name for name in tensors if (m := pattern.match(name))}
    wanted = {str(number) for number in range(len(found))}
    if odd := [name for number, name in found.items() if number not in wanted]:
        raise LoadError(
            f"the file has {len(found)} blocks, expected the numbers 0 to {len(found) - 1}, got "
            f"{odd[0].removeprefix('encoder.')}; it is not a whole encoder, or was saved wrongly"
        )
    return len(found)


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
        LoadError: it is missing, has other axes, or does not hold floating point numbers.
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
        LoadError: it has other axes, or does not hold floating point numbers.
    """
    found = tensors.get(name)
    if found is None:
        return None
    shown = name.removeprefix("encoder.")
    if not found.is_floating_point():
        raise LoadError(
            f"the file's {shown} is of {found.dtype}, expected floating point; save it as float32"
        )
    if found.ndim != len(axes) or 0 in found.shape:
        raise LoadError(
            f"the file's {shown} has shape {tuple(found.shape)}, expected ({', '.join(axes)}); it "
            "is not an encoder of this layout, or was saved wrongly"
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


def ask(key: str, why: str, value: Any = 3) -> LoadError:
    """Return the error that asks for what neither the file nor a rule tells."""
    return LoadError(
        f"the file does not tell {key} and {why}; give it: --set backbone.{key}={value} "
        f"(arch={{{key!r}: {value!r}}})"
    )


def norm_note(given: Mapping[str, Any], eps: float) -> tuple[str, ...]:
    """Return the note on the norms' epsilon, which no file tells."""
    return () if "norm_eps" in given else (f"layer norm epsilon {eps:g} by the family's rule",)


def check_heads(width: int, number: int, key: str = "num_heads") -> None:
    """Raise LoadError where the heads do not divide the width."""
    if number < 1 or width % number:
        raise LoadError(f"{key}: expected a divisor of the width {width}, got {number}")


def check_norm(eps: float) -> None:
    """Raise LoadError where a layer norm could divide by 0 or by less."""
    if eps <= 0:
        raise LoadError(f"norm_eps: expected a number above 0, got {eps}")


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


def shorten_stage(
    arch: Mapping[str, Any], drop_last: int, stages: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a staged architecture without the last blocks of the stage before the last, and the
    prefixes of what goes.

    That is where the study of the published encoders removes them: stage 4 is kept.

    Args:
        arch: with `depths`.
        drop_last: how many.
        stages: name of the stages, each with its `blocks`.

    Raises:
        LoadError: fewer than 0 or all blocks of that stage are to go.
    """
    depths = tuple(arch["depths"])
    stage = max(len(depths) - 2, 0)
    depth = depths[stage]
    if not 0 <= drop_last < depth:
        raise LoadError(
            f"drop_last: expected 0 to {depth - 1} of the {depth} blocks of stage {stage + 1}, "
            f"got {drop_last}"
        )
    kept = depth - drop_last
    prefixes = tuple(f"{stages}.{stage}.blocks.{i}." for i in range(kept, depth))
    return {**arch, "depths": (*depths[:stage], kept, *depths[stage + 1 :])}, prefixes
