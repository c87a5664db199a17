"""How much room features take, and whether there is as much."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness.features.errors import FeatureError
from harness.features.key import BYTES

Shapes = Mapping[str, tuple[int, ...]]
"""Name of an output -> shape for one sample."""

SHARD_BYTES = 64 << 20
"""A shard is read whole to be checked, and lost whole when a run is killed while writing it."""

LIMIT = "HARNESS_FEATURES_LIMIT"
DEFAULT_LIMIT = 20 * 10**9


def sample_bytes(shapes: Shapes, dtype: str) -> int:
    """What the features of one sample take, in bytes."""
    return sum(map(math.prod, shapes.values())) * BYTES[dtype]


def shard_length(shapes: Shapes, dtype: str) -> int:
    """How many samples a shard has: a power of two, at most 4096, of at most 64 MiB."""
    fit = SHARD_BYTES // max(1, sample_bytes(shapes, dtype))
    return min(4096, 1 << max(0, fit.bit_length() - 1))


def required_bytes(count: int, shapes: Shapes, dtype: str, shard: int | None = None) -> int:
    """What the features of `count` samples take on disk, in bytes, from above.

    Args:
        count: number of samples.
        shapes: of each output, for one sample.
        dtype: number format in which they are kept.
        shard: samples in a shard, if not the usual number.
    """
    shards = math.ceil(count / (shard or shard_length(shapes, dtype)))
    header = 4096 + sum(160 + len(name) for name in shapes)
    return count * sample_bytes(shapes, dtype) + shards * header


def limit() -> int:
    """How many bytes all features together may take: HARNESS_FEATURES_LIMIT in GB, 20 by default.

    Raises:
        FeatureError: it is set to something that is no number of gigabytes.
    """
    given = os.environ.get(LIMIT)
    if not given:
        return DEFAULT_LIMIT
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = math.nan
    if not 0 <= gigabytes < math.inf:
        raise FeatureError(f"{LIMIT} is `{given}`: give a number of gigabytes, such as 20")
    return int(gigabytes * 1e9)


def require_room(needed: int, kept: int, allowed: int, place: Path) -> None:
    """Make sure that features can be written, before any is.

    Args:
        needed: bytes to be written.
        kept: bytes of the features that are there.
        allowed: bytes that all features may take.
        place: an existing folder on the disk where they go.

    Raises:
        FeatureError: they are more than the limit or the disk takes.
    """
    if kept + needed > allowed:
        raise FeatureError(
            f"the features take {shown(needed)} and {shown(kept)} are kept, more than the limit of "
            f"{shown(allowed)}: remove some (`harness cache show`, `harness cache clear`), or "
            f"raise the limit ({LIMIT}, in GB)"
        )
    free = shutil.disk_usage(place).free
    if needed > free:
        raise FeatureError(
            f"the features take {shown(needed)}, the disk of {place} has {shown(free)} left: make "
            "room (`harness cache clear`), or name another place with HARNESS_CACHE"
        )


def shown(number: int) -> str:
    """A number of bytes for a person: three digits and a decimal unit."""
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB" if value < 999.5 else f"{value:,.0f} GB"


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take, in bytes; files that vanish meanwhile do not count."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118
            except OSError:
                continue
    return total
