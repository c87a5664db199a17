"""The record of a shard: a small file beside it, with its hash. A shard is there once that is.

Imports no torch: `harness cache show` counts shards with it.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.features.errors import FeatureError
from harness.features.manifest import remedy


def file_of(folder: Path, shard: int) -> Path:
    """The file with the features."""
    return folder / f"{shard:05d}.safetensors"


def record_of(folder: Path, shard: int) -> Path:
    """The small file with the hash."""
    return folder / f"{shard:05d}.json"


def is_there(folder: Path, shard: int) -> bool:
    """Whether a shard was written to its end, as far as the sizes of its files tell.

    Raises:
        FeatureError: it was, and its file is missing now or of another size.
    """
    if not record_of(folder, shard).exists():
        return False
    _, size = recorded(folder, shard)
    path = file_of(folder, shard)
    found = path.stat().st_size if path.exists() else None
    if found != size:
        what = "is missing" if found is None else f"has {found} bytes, not the {size} written"
        raise FeatureError(f"{path} {what}; {remedy(folder.name)}")
    return True


def recorded(folder: Path, shard: int) -> tuple[str, int]:
    """The sha256 and the size in bytes that the file of a shard is to have.

    Raises:
        FeatureError: the shard was not written to its end, or its record is damaged.
    """
    path = record_of(folder, shard)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return str(record["sha256"]), int(record["bytes"])
    except FileNotFoundError:
        raise FeatureError(
            f"{file_of(folder, shard)} was not written to its end; repeat the command that "
            "computes the features: it continues"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeatureError(f"{path} is damaged; {remedy(folder.name)}") from error


def device_of(folder: Path, shard: int) -> str:
    """What computed a shard.

    Raises:
        FeatureError: the shard was not written to its end, or its record is damaged.
    """
    recorded(folder, shard)
    return str(json.loads(record_of(folder, shard).read_text(encoding="utf-8")).get("device"))
