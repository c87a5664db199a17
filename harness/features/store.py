"""The folder with all features: opening a set, making it where there is none."""

from __future__ import annotations

from pathlib import Path

from harness.features import manifest as manifests
from harness.features.errors import FeatureError
from harness.features.feature_set import FeatureSet, unwritable
from harness.features.key import FeatureKey, Origin
from harness.features.locks import Use, exclusive, used
from harness.features.manifest import Manifest
from harness.features.places import IN_USE, LOCK, features
from harness.features.size import (
    Shapes,
    folder_bytes,
    limit,
    require_room,
    required_bytes,
    shard_length,
)

_NOBODY = Origin()


class Store:
    """All features below a folder; several processes may use it at the same time."""

    def __init__(self, root: Path | None = None, allowed: int | None = None) -> None:
        """Args: root: the folder, `features` in the cache by default. allowed: how many bytes all
        features may take; HARNESS_FEATURES_LIMIT by default.

        Raises:
            FeatureError: that limit is no number.
        """
        self.root = root or features()
        self.allowed = limit() if allowed is None else allowed

    def open(
        self,
        key: FeatureKey,
        count: int,
        shapes: Shapes,
        origin: Origin = _NOBODY,
        shard: int | None = None,
    ) -> FeatureSet:
        """Open a set of features, empty or in part or whole.

        Args:
            key: what they are of.
            count: number of samples, from the first of the split on.
            shapes: of each output, for one sample.
            origin: for a person who looks at the cache.
            shard: samples in a shard; by default as many as fit 64 MiB, at most 4096.

        Raises:
            FeatureError: they would take more than the limit or the disk; what is kept in their
                place is of other features, or damaged; the cache cannot be written.
        """
        length = shard or shard_length(shapes, key.dtype)
        asked = manifests.new(key, count, shapes, length, origin)
        folder = self.root / asked.name
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with exclusive(self.root / LOCK):
                kept = self._kept(folder, asked)
                self._require_room(kept or FeatureSet(folder, asked))
                if kept is None:
                    folder.mkdir(exist_ok=True)
                    manifests.write(asked, folder)
                elif not used(folder / IN_USE):
                    _remove_partial_files(folder)
                return FeatureSet(folder, asked, Use(folder / IN_USE))
        except OSError as error:
            raise unwritable(self.root, error) from error

    def _kept(self, folder: Path, asked: Manifest) -> FeatureSet | None:
        """What is there already, once it is what is asked for; None where nothing is."""
        if not (folder / manifests.NAME).exists():
            if any(folder.glob("*.safetensors")):
                raise FeatureError(
                    f"{folder} has features without a manifest; {manifests.remedy(folder.name)}"
                )
            return None
        manifests.require_same(manifests.read(folder), asked, folder)
        return FeatureSet(folder, asked)

    def _require_room(self, features: FeatureSet) -> None:
        samples = sum(len(features.samples(shard)) for shard in features.missing())
        if samples:
            asked = features.manifest
            dtype = str(asked.key["dtype"])
            needed = required_bytes(samples, asked.shapes, dtype, asked.shard)
            require_room(needed, folder_bytes(self.root), self.allowed, self.root)


def _remove_partial_files(folder: Path) -> None:
    """Remove what a process left that was killed while writing."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)
