"""Reading `catalogue.toml`: every field there, of its type, and no other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from backbones.arguments import Colour
from backbones.entries import Entry, Pair

Scales = dict[str, str]
Catalogue = tuple[dict[str, Entry], dict[str, Scales], tuple[Pair, ...]]

SCALES = ("smoke", "tiny", "paper")
POOLS = ("attention", "class_token", "mean", "mean_fc_norm")

_KINDS: dict[str, type] = {
    "str": str,
    "str | None": str,
    "int": int,
    "int | None": int,
    "Colour": tuple,
    "Mapping[str, Any]": dict,
}
_SHAPES = {
    "source": r"shipped|(page:)?https://\S+|drive:[\w-]+",
    "file": r"(?!/)(?!.*\.\.)[\w./-]+",
    "pool": "|".join(POOLS),
    "sha256": "[0-9a-f]{64}",
    "sha256_prefix": "[0-9a-f]{6,63}",
    "md5_prefix": "[0-9a-f]{6,32}",
}


def read(path: Path) -> Catalogue:
    """Return the encoders, who stands for which objective at which scale, and the pairs.

    Raises:
        ValueError: a field that is missing, unknown or wrong, or a name that nothing has.
    """
    with path.open("rb") as file:
        said = tomllib.load(file)
    _same("the file", set(said), {"colours", "encoders", "objectives", "pairs"})
    colours = {name: _colours(name, values) for name, values in said["colours"].items()}
    encoders = {name: _entry(name, row, colours) for name, row in said["encoders"].items()}
    for objective, scales in said["objectives"].items():
        _known(f"objectives.{objective}", scales, SCALES)
        _known(f"objectives.{objective}", scales.values(), encoders)
    return encoders, said["objectives"], tuple(_pair(row, encoders) for row in said["pairs"])


def _entry(name: str, row: Mapping[str, Any], colours: Mapping[str, Mapping[str, Colour]]) -> Entry:
    where = f"encoders.{name}"
    values = dict(row)
    colour = values.pop("colours", None)
    _known(where, [colour], colours)
    values |= {"name": name, **colours[colour]}
    known = {f.name: f for f in fields(Entry)}
    _known(where, values, known)
    needed = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    _same(where, needed & set(values), needed)
    for key, value in values.items():
        if type(value) is not _KINDS[str(known[key].type)] or value in ("", 0):
            raise ValueError(f"{where}: {key} is {value!r}, expected {known[key].type}")
        if key in _SHAPES and not re.fullmatch(_SHAPES[key], str(value)):
            raise ValueError(f"{where}: {key} is {value!r}, expected {_SHAPES[key]}")
    return Entry(**values)


def _colours(name: str, values: Mapping[str, Any]) -> dict[str, Colour]:
    _same(f"colours.{name}", set(values), {"mean", "std"})
    found = {key: tuple(value) for key, value in values.items()}
    if any(len(value) != 3 or not all(0 < x < 1 for x in value) for value in found.values()):
        raise ValueError(f"colours.{name}: expected three numbers between 0 and 1, got {values}")
    return found


def _pair(row: Mapping[str, Any], encoders: Mapping[str, Entry]) -> Pair:
    where = f"pairs: {row.get('encoders')}"
    _same(where, set(row), {f.name for f in fields(Pair)})
    _known(where, row["encoders"], encoders)
    differs = {point: tuple(values) for point, values in row["differs"].items()}
    first, second = row["encoders"]
    for point, values in differs.items():
        if len(values) != 2 or values[0] == values[1]:
            raise ValueError(f"{where}: {point}: expected two values that differ, got {values}")
    return Pair((first, second), row["compared"], row["evidence"], differs)


def _known(where: str, names: Any, known: Any) -> None:
    if wrong := [str(name) for name in names if name not in known]:
        raise ValueError(f"{where}: there is no {', '.join(wrong)}; known: {', '.join(known)}")


def _same(where: str, found: set[str], wanted: set[str]) -> None:
    if found != wanted:
        odd = ", ".join(sorted(found ^ wanted))
        raise ValueError(f"{where}: missing or unknown: {odd}")
