from __future__ import annotations

import pytest

from harness.features import FeatureError
from harness.features.size import (
    limit,
    required_bytes,
    sample_bytes,
    shard_length,
    shown,
)
from harness.features.store import Store
from tests.harness.features.sets import COUNT, SHAPES, SHARD, filled


def test_the_size_is_known_from_above_and_nearly(store: Store) -> None:
    filled(store).close()
    written = sum(p.stat().st_size for p in store.root.rglob("0*") if p.is_file())
    payload = COUNT * (5 + 18) * 4
    assert sample_bytes(SHAPES, "float32") == 92
    assert payload < written <= required_bytes(COUNT, SHAPES, "float32", SHARD)
    large = {"pooled": (768,)}
    assert required_bytes(50_000, large, "float32") < 1.01 * 50_000 * 768 * 4
    assert required_bytes(50_000, large, "float16") < 1.01 * 50_000 * 768 * 2


@pytest.mark.parametrize(
    ("shapes", "dtype", "length"),
    [
        ({"pooled": (8,)}, "float32", 4096),
        ({"map0": (1024, 16, 16)}, "float32", 64),
        ({"map0": (1024, 16, 16)}, "float16", 128),
        ({"map0": (1024, 15, 16)}, "float32", 64),
        ({"map0": (1024, 256, 256)}, "float32", 1),
    ],
)
def test_a_shard_has_at_most_64_mib(
    shapes: dict[str, tuple[int, ...]], dtype: str, length: int
) -> None:
    assert shard_length(shapes, dtype) == length


@pytest.mark.parametrize(("given", "bytes_"), [("", 20 * 10**9), ("1.5", 1_500_000_000), ("0", 0)])
def test_the_limit(monkeypatch: pytest.MonkeyPatch, given: str, bytes_: int) -> None:
    monkeypatch.setenv("HARNESS_FEATURES_LIMIT", given)
    assert limit() == bytes_


@pytest.mark.parametrize("given", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HARNESS_FEATURES_LIMIT", given)
    with pytest.raises(FeatureError, match=f"HARNESS_FEATURES_LIMIT is `{given}`"):
        limit()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_999, "1 MB"),
        (3_210_000_000, "3.21 GB"),
        (1_200_000_000_000, "1,200 GB"),
    ],
)
def test_a_number_of_bytes_for_a_person(number: int, said: str) -> None:
    assert shown(number) == said
