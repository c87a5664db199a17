"""The features of one encoder for one split: written shard by shard, read whole or by sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from harness.features import records, shards
from harness.features.errors import FeatureError
from harness.features.locks import Use, exclusive
from harness.features.manifest import Manifest


class FeatureSet:
    """Features in the cache; `Store.open` makes it.

    `harness cache clear` leaves it alone until it is closed or the process has ended. A copy by
    pickling, as loader workers have it, protects nothing: whoever opened it does.

    Attributes:
        folder: where it lies.
        manifest: what it is.
    """

    def __init__(self, folder: Path, manifest: Manifest, use: Use | None = None) -> None:
        self.folder, self.manifest = folder, manifest
        self._use = use
        self._mapped: dict[int, dict[str, Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_use": None, "_mapped": {}}

    def __len__(self) -> int:
        """Number of samples."""
        return self.manifest.count

    def __enter__(self) -> FeatureSet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def shards(self) -> int:
        """Number of shards, written or not."""
        return self.manifest.shards

    def samples(self, shard: int) -> range:
        """The indices of the samples of a shard.

        Raises:
            IndexError: there is no such shard.
        """
        first = shard * self.manifest.shard
        return range(first, first + self.manifest.length(shard))

    def missing(self) -> list[int]:
        """The shards that are still to be computed.

        Raises:
            FeatureError: the file of one that was written is gone or of another size.
        """
        return [s for s in range(self.shards) if not records.is_there(self.folder, s)]

    def devices(self) -> list[str]:
        """What computed the shards that are there.

        Raises:
            FeatureError: a record is damaged.
        """
        there = set(range(self.shards)) - set(self.missing())
        return sorted({records.device_of(self.folder, shard) for shard in there})

    def write(self, shard: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep a shard, whole or not at all; where another process was faster, its shard stays.

        Args:
            shard: its number.
            tensors: each output, (n, *shape) for the n samples of the shard, of the key's dtype.

        Raises:
            FeatureError: names, shapes or dtype are not as promised, a value is not finite, or the
                disk does not take it.
            IndexError: there is no such shard.
        """
        try:
            with exclusive(self.folder / "lock"):
                if not records.is_there(self.folder, shard):
                    shards.write(self.folder, self.manifest, shard, tensors)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def read(self, shard: int) -> dict[str, Tensor]:
        """One shard, (n, *shape) each, checked against its hash.

        Raises:
            FeatureError: it is not there, cut short, changed, or another.
            IndexError: there is no such shard.
        """
        self.manifest.length(shard)
        return shards.read(self.folder, self.manifest, shard)

    def load(self) -> dict[str, Tensor]:
        """All samples in order, (N, *shape) each, checked; memory for them and one shard.

        Raises:
            FeatureError: a shard is not there, cut short, changed, or another.
        """
        whole = self._empty(len(self))
        for shard in range(self.shards):
            where = self.samples(shard)
            for name, tensor in self.read(shard).items():
                whole[name][where.start : where.stop] = tensor
        return whole

    def rows(self, indices: Iterable[int] | Tensor) -> dict[str, Tensor]:
        """Some samples in the order asked for, (n, *shape) each, without loading the others.

        A shard is checked against its hash when the first of its samples is asked for, and mapped
        into memory from then on.

        Raises:
            FeatureError: a shard is not there, cut short, changed, or another.
            IndexError: there is no such sample.
        """
        asked = torch.as_tensor([int(index) for index in indices], dtype=torch.long)
        if len(asked) and not 0 <= int(asked.min()) <= int(asked.max()) < len(self):
            raise IndexError(f"samples are numbered from 0 to {len(self) - 1}")
        found = self._empty(len(asked))
        of_shard = asked // self.manifest.shard
        for shard in sorted(set(of_shard.tolist())):
            places = (of_shard == shard).nonzero()[:, 0]
            local = asked[places] - shard * self.manifest.shard
            for name, tensor in self._shard(shard).items():
                found[name][places] = tensor[local]
        return found

    def close(self) -> None:
        """Let go of the files; a second time does nothing."""
        self._mapped = {}
        if self._use is not None:
            self._use.close()

    def _shard(self, shard: int) -> dict[str, Tensor]:
        if shard not in self._mapped:
            self._mapped[shard] = shards.mapped(self.folder, self.manifest, shard)
        return self._mapped[shard]

    def _empty(self, count: int) -> dict[str, Tensor]:
        dtype = getattr(torch, str(self.manifest.key["dtype"]))
        shapes = self.manifest.shapes
        return {name: torch.empty((count, *shape), dtype=dtype) for name, shape in shapes.items()}


def unwritable(folder: Path, error: OSError) -> FeatureError:
    """What to say where the operating system does not let features be written."""
    return FeatureError(
        f"cannot write features to {folder} ({error.strerror or error}): make room or mend its "
        "permissions, or name another place with HARNESS_CACHE"
    )
