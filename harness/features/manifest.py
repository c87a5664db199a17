"""The manifest of a set of features: what they are, and what a person wants to know of them."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.features.errors import FeatureError
from harness.features.key import DIGITS, FeatureKey, Origin, canonical
from harness.features.size import Shapes
from results.files import write_text

NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What is kept in a folder.

    Attributes:
        key: what decides the values (`FeatureKey.as_dict`).
        sha256: of the key and the number of samples; its beginning is the name of the folder.
        count: number of samples.
        shard: samples in a shard; the last one may have fewer.
        shapes: of each output, for one sample.
        origin: for a person.
        made: when the folder was begun, UTC.
    """

    key: Mapping[str, Any]
    sha256: str
    count: int
    shard: int
    shapes: dict[str, tuple[int, ...]]
    origin: Origin
    made: str

    @property
    def name(self) -> str:
        """Of the folder, and what `harness cache clear` takes."""
        return self.sha256[:DIGITS]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return math.ceil(self.count / self.shard)

    def length(self, shard: int) -> int:
        """Number of samples of a shard.

        Raises:
            IndexError: there is no such shard.
        """
        if not 0 <= shard < self.shards:
            raise IndexError(f"there are {self.shards} shards, none is number {shard}")
        return min(self.shard, self.count - shard * self.shard)


def new(key: FeatureKey, count: int, shapes: Shapes, shard: int, origin: Origin) -> Manifest:
    """The manifest of features that are about to be computed.

    Raises:
        FeatureError: no samples, or shapes of other outputs than the key has.
    """
    if count < 1 or shard < 1:
        raise FeatureError(f"there are features of at least one sample, not of {count}")
    if set(shapes) != set(key.outputs):
        raise FeatureError(f"expected shapes of {sorted(key.outputs)}, got {sorted(shapes)}")
    sizes = {name: tuple(map(int, shapes[name])) for name in sorted(shapes)}
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Manifest(key.as_dict(), key.sha256(count), count, shard, sizes, origin, made)


def write(manifest: Manifest, folder: Path) -> None:
    """Write it into a folder, whole or not at all, with its own hash.

    Raises:
        OSError: it cannot be written.
    """
    content = json.loads(canonical(asdict(manifest)))
    text = json.dumps({**content, "checksum": _checksum(content)}, indent=1, sort_keys=True)
    write_text(folder / NAME, text + "\n")


def read(folder: Path) -> Manifest:
    """Read the manifest in a folder.

    Raises:
        FeatureError: there is none, or not as it was written.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = content.pop("checksum") == _checksum(content)
        shapes = {name: tuple(shape) for name, shape in content.pop("shapes").items()}
        found = Manifest(shapes=shapes, origin=Origin(**content.pop("origin")), **content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FeatureError(f"{path} is no manifest of features; {remedy(folder.name)}") from error
    if not whole:
        raise FeatureError(f"{path} was changed after it was written; {remedy(folder.name)}")
    return found


def require_same(found: Manifest, asked: Manifest, folder: Path) -> None:
    """Make sure that what is kept is what is asked for, whoever made it and whenever.

    Raises:
        FeatureError: naming what differs.
    """
    differing = [
        name
        for name in sorted({*found.key, *asked.key})
        if canonical(found.key.get(name)) != canonical(asked.key.get(name))
    ]
    differing += [
        name
        for name in ("count", "shard", "shapes", "sha256")
        if getattr(found, name) != getattr(asked, name)
    ]
    if differing:
        raise FeatureError(
            f"{folder / NAME} is of other features than those asked for (it differs in "
            f"{', '.join(differing)}); {remedy(folder.name)}"
        )


def remedy(name: str) -> str:
    """What helps where files cannot be trusted."""
    return f"remove them (`harness cache clear {name}`) and repeat the command: it computes anew"


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()
