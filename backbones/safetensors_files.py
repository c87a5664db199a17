"""Reading safetensors: one file, or shards of which an index in JSON says what is in which."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from backbones.errors import LoadError

SUFFIX = ".safetensors.index.json"


def read_single(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file and its metadata.

    Raises:
        LoadError: it is damaged, or has tensors of a type that torch does not know.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise LoadError(f"{path} is a damaged or truncated safetensors file ({error})") from error
    except AttributeError as error:  # older torch has not all of the format's types
        raise LoadError(
            f"{path} has tensors of a type unknown here ({error}); save it as float32"
        ) from error


def read_shards(index: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of all shards of an index and their metadata.

    Raises:
        LoadError: a shard is missing, damaged, of another checkpoint, or not as the index says.
    """
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for path, expected in shards_of(index).items():
        found, said = read_single(path)
        _check_shard(path, expected, found)
        tensors |= found
        metadata |= said
    return tensors, metadata


def index_in(folder: Path) -> Path:
    """Return the only index in a folder.

    Raises:
        LoadError: there is none, or more than one.
    """
    found = sorted(path.name for path in folder.glob(f"*{SUFFIX}"))
    if len(found) != 1:
        what = f"several ({', '.join(found)}); give one of them" if found else "a folder without"
        raise LoadError(f"{folder}: expected a checkpoint file, or *{SUFFIX} in it, found {what}")
    return folder / found[0]


def shards_of(index: Path) -> dict[Path, set[str]]:
    """Return the files that an index names, all of them there, and the tensors of each.

    Raises:
        LoadError: no index, a shard that is missing or lies elsewhere, or one beside those of the
            index that belongs to another checkpoint.
    """
    shards: dict[str, set[str]] = {}
    for tensor, name in _weight_map(index).items():
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise LoadError(f"{index}: expected shards in its own folder, got {name!r}")
        shards.setdefault(name, set()).add(tensor)
    missing = sorted(name for name in shards if not (index.parent / name).is_file())
    if missing:
        raise LoadError(
            f"{index}: {len(missing)} of {len(shards)} shards are missing: {', '.join(missing)}; "
            "copy or download them beside it"
        )
    stem = index.name.removesuffix(SUFFIX)
    beside = {path.name for path in index.parent.glob("*-of-*.safetensors")}
    if foreign := sorted(n for n in beside - set(shards) if n.startswith(f"{stem}-")):
        raise LoadError(
            f"{index}: shards that it does not name lie beside it: {', '.join(foreign)}; "
            "remove them, or give the index that they belong to"
        )
    return {index.parent / name: tensors for name, tensors in sorted(shards.items())}


def _check_shard(path: Path, expected: Iterable[str], found: Iterable[str]) -> None:
    wanted, there = set(expected), set(found)
    problems = {"lacks": wanted - there, "also has": there - wanted}
    said = [f"{what} {', '.join(sorted(names))}" for what, names in problems.items() if names]
    if said:
        raise LoadError(
            f"{path} is not the shard that the index describes: it {' and '.join(said)}; "
            "copy or download it again"
        )


def _weight_map(index: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise LoadError(f"{index} is no index of a checkpoint, or a damaged one ({reason})") from (
            error
        )
    shards = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise LoadError(f"{index} is no index of a checkpoint: it has no weight_map with tensors")
    return shards
