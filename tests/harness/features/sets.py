"""A small set of features: ten samples in shards of four."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from harness.features.feature_set import FeatureSet
from harness.features.key import FeatureKey, Origin
from harness.features.store import Store

KEY = FeatureKey(
    encoder="e" * 64,
    arch={"family": "vit", "input_size": (32, 32)},
    data="d" * 64,
    transform={"resize": 36, "crop": 32},
    outputs=("pooled", "map0"),
)
SHAPES = {"pooled": (5,), "map0": (2, 3, 3)}
COUNT, SHARD = 10, 4
ORIGIN = Origin("simmim_vit_micro", "microworld", "test", "cpu")


def features(dtype: str = "float32", seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn((COUNT, *shape), generator=draw).to(getattr(torch, dtype))
        for name, shape in SHAPES.items()
    }


def opened(store: Store, key: FeatureKey = KEY, shard: int = SHARD) -> FeatureSet:
    return store.open(key, COUNT, SHAPES, ORIGIN, shard)


def part(features_: FeatureSet, shard: int, whole: dict[str, Tensor]) -> dict[str, Tensor]:
    where = features_.samples(shard)
    return {name: tensor[where.start : where.stop] for name, tensor in whole.items()}


def filled(store: Store, key: FeatureKey = KEY, seed: int = 0) -> FeatureSet:
    found = opened(store, key)
    for shard in found.missing():
        found.write(shard, part(found, shard, features(key.dtype, seed)))
    return found


def of(encoder: str) -> FeatureKey:
    return replace(KEY, encoder=encoder * 64)


def write_all(store: Store, started: object, seed: int) -> None:
    """In a process of its own, at the same time as another."""
    started.wait(60)  # type: ignore[attr-defined]
    with opened(store, shard=1) as found:
        for shard in range(found.shards):
            found.write(shard, part(found, shard, features(seed=seed)))
