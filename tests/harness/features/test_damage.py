"""Whatever is not as it was written is refused by name, never computed anew in silence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.features import FeatureError
from harness.features.feature_set import FeatureSet
from harness.features.store import Store
from tests.harness.features.sets import (
    COUNT,
    KEY,
    ORIGIN,
    SHAPES,
    SHARD,
    features,
    filled,
    of,
    opened,
    part,
)


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def _cut(folder: Path) -> None:
    path = folder / "00001.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def _swap(folder: Path, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        first, second = folder / f"00000{suffix}", folder / f"00001{suffix}"
        first.rename(folder / "x")
        second.rename(first)
        (folder / "x").rename(second)


def _edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


CHANGES: dict[str, Callable[[Path], None]] = {
    "a bit of the features": lambda folder: _flip(folder / "00001.safetensors", -1),
    "a bit of the header": lambda folder: _flip(folder / "00001.safetensors", 20),
    "shards swapped": lambda folder: _swap(folder, (".safetensors",)),
    "shards swapped with their records": lambda folder: _swap(folder, (".safetensors", ".json")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_changed_shard(store: Store, change: Callable[[Path], None]) -> None:
    with filled(store) as found:
        change(found.folder)
    for read in (FeatureSet.load, lambda f: f.read(1), lambda f: f.rows([9, 5])):
        with opened(store) as found, pytest.raises(FeatureError) as error:
            read(found)
        said = str(error.value)
        assert str(found.folder) in said
        assert f"harness cache clear {found.folder.name}" in said
        assert "\n" not in said
    with opened(store) as found:
        assert torch.equal(found.read(2)["map0"], features()["map0"][8:])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_cut, r"00001\.safetensors has \d+ bytes, not the \d+ written"),
        (lambda folder: (folder / "00001.safetensors").unlink(), r"00001\.safetensors is missing"),
        (lambda folder: (folder / "00001.json").write_text('{"sha'), r"00001\.json is damaged"),
        (lambda folder: (folder / "manifest.json").unlink(), "features without a manifest"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "is no manifest of features"),
        (lambda folder: (folder / "manifest.json").write_text("[1]"), "is no manifest of features"),
        (
            lambda folder: _edit(folder / "manifest.json", lambda m: m.update(made="long ago")),
            "was changed after it was written",
        ),
    ],
)
def test_what_shows_on_opening(store: Store, change: Callable[[Path], None], said: str) -> None:
    with filled(store) as found:
        change(found.folder)
    with pytest.raises(FeatureError, match=said) as error:
        opened(store)
    assert f"harness cache clear {found.folder.name}" in str(error.value)


def test_the_features_of_another_encoder_in_the_place_of_these(store: Store) -> None:
    with filled(store) as ours, filled(store, of("f"), seed=1) as others:
        shutil.rmtree(ours.folder)
        shutil.copytree(others.folder, ours.folder)
    with pytest.raises(FeatureError, match=r"of other features .*\(it differs in encoder, sha256"):
        opened(store)


def test_a_shard_of_another_encoder_with_its_record(store: Store) -> None:
    with filled(store) as ours, filled(store, of("f"), seed=1) as others:
        for suffix in ("safetensors", "json"):
            shutil.copy(others.folder / f"00000.{suffix}", ours.folder)
        assert ours.missing() == []
        for read in (ours.load, lambda: ours.rows([0])):
            with pytest.raises(FeatureError, match=r"00000\.safetensors is another shard"):
                read()


def test_shapes_or_shards_other_than_those_kept(store: Store) -> None:
    filled(store).close()
    with pytest.raises(FeatureError, match=r"differs in shapes\)"):
        store.open(KEY, COUNT, {**SHAPES, "pooled": (6,)}, ORIGIN, SHARD)
    with pytest.raises(FeatureError, match=r"differs in shard\)"):
        store.open(KEY, COUNT, SHAPES, ORIGIN, SHARD + 1)
    with pytest.raises(FeatureError, match="expected shapes of"):
        store.open(KEY, COUNT, {"pooled": (5,)}, ORIGIN, SHARD)
    with pytest.raises(FeatureError, match="at least one sample"):
        store.open(KEY, 0, SHAPES)


def test_a_damaged_shard_is_not_written_over(store: Store) -> None:
    with filled(store) as found:
        _cut(found.folder)
        with pytest.raises(FeatureError, match=r"00001\.safetensors has"):
            found.write(1, part(found, 1, features()))
