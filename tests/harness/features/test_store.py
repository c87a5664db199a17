from __future__ import annotations

import multiprocessing
import os
import pickle
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
import torch

from harness.features import FeatureError, feature_set, shards
from harness.features.locks import exclusive
from harness.features.size import required_bytes
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
    write_all,
)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_same_bits_come_back(store: Store, dtype: str) -> None:
    key = replace(KEY, dtype=dtype)
    filled(store, key).close()
    whole, asked = features(dtype), [9, 0, 3, 4, 0, 8]
    with opened(store, key) as found:
        loaded, rows = found.load(), found.rows(asked)
        assert set(loaded) == set(rows) == set(SHAPES)
        for name, tensor in whole.items():
            assert loaded[name].dtype == rows[name].dtype == tensor.dtype
            assert torch.equal(loaded[name], tensor)
            assert torch.equal(rows[name], tensor[asked])
            assert torch.equal(found.read(2)[name], tensor[8:])


def test_what_is_missing_is_told_and_filled_in_any_order(store: Store) -> None:
    with opened(store) as found:
        assert found.missing() == [0, 1, 2]
        assert [list(found.samples(shard)) for shard in (0, 2)] == [[0, 1, 2, 3], [8, 9]]
        found.write(1, part(found, 1, features()))
        assert found.missing() == [0, 2]
        with pytest.raises(FeatureError, match=r"00000\.safetensors was not written to its end"):
            found.load()
        assert torch.equal(found.rows([5])["pooled"], features()["pooled"][[5]])
    with opened(store) as again:
        assert again.missing() == [0, 2]


def test_samples_and_shards_that_do_not_exist(store: Store) -> None:
    with filled(store) as found:
        assert found.rows([])["map0"].shape == (0, 2, 3, 3)
        for index in (-1, COUNT):
            with pytest.raises(IndexError, match="0 to 9"):
                found.rows([0, index])
        for shard in (-1, 3):
            with pytest.raises(IndexError, match="3 shards"):
                found.read(shard)


@pytest.mark.parametrize(
    ("shapes", "dtype", "said"),
    [
        ({"pooled": (4, 5)}, "float32", "shapes"),
        ({"pooled": (4, 5), "map1": (4, 2, 3, 3)}, "float32", "shapes"),
        ({"pooled": (4, 6), "map0": (4, 2, 3, 3)}, "float32", "shapes"),
        ({"pooled": (3, 5), "map0": (3, 2, 3, 3)}, "float32", "shapes"),
        ({"pooled": (4, 5), "map0": (4, 2, 3, 3)}, "float16", r"of torch.float32, got .*float16"),
    ],
)
def test_other_tensors_than_promised_are_not_kept(
    store: Store, shapes: dict[str, tuple[int, ...]], dtype: str, said: str
) -> None:
    given = {n: torch.zeros(shape, dtype=getattr(torch, dtype)) for n, shape in shapes.items()}
    with opened(store) as found:
        with pytest.raises(FeatureError, match=said):
            found.write(0, given)
        assert found.missing() == [0, 1, 2]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused_by_sample(store: Store, value: float) -> None:
    with opened(store) as found:
        tensors = {name: tensor.clone() for name, tensor in part(found, 1, features()).items()}
        tensors["map0"][2:, 1, 0, 0] = value
        with pytest.raises(FeatureError, match=r"`map0` of 2 samples .*, the first .* sample 6:"):
            found.write(1, tensors)
        assert 1 in found.missing()


def test_a_process_killed_while_writing_leaves_whole_shards_only(store: Store) -> None:
    with opened(store) as found:
        found.write(0, part(found, 0, features()))
        # Killed while writing the second shard, and between the third one and its record.
        (found.folder / ".00001.safetensors.4711.part").write_bytes(b"half of a sh")
        (found.folder / "00002.safetensors").write_bytes(b"whole, for all anybody knows")
    with filled(store) as again:
        assert all(torch.equal(again.load()[name], whole) for name, whole in features().items())
        assert not list(again.folder.glob(".*"))


def test_a_fault_between_shard_and_record_makes_no_shard(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> str:
        raise OSError(28, os.strerror(28), str(path))

    with opened(store) as found:
        with monkeypatch.context() as patch:
            patch.setattr(shards, "write_text", full)
            with pytest.raises(FeatureError, match=r"No space left on device.*make room"):
                found.write(0, part(found, 0, features()))
        assert found.missing() == [0, 1, 2]
        found.write(0, part(found, 0, features()))
        assert torch.equal(found.read(0)["pooled"], features()["pooled"][:SHARD])


def test_the_shard_that_was_there_first_stays(store: Store) -> None:
    with filled(store) as found:
        found.write(0, part(found, 0, features(seed=1)))
        assert torch.equal(found.read(0)["map0"], features()["map0"][:SHARD])


def test_processes_that_write_the_same_shards_at_the_same_time(store: Store) -> None:
    spawn = multiprocessing.get_context("spawn")
    started = spawn.Barrier(2)
    both = [spawn.Process(target=write_all, args=(store, started, seed)) for seed in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(90)
    assert [process.exitcode for process in both] == [0, 0]
    with opened(store, shard=1) as found:
        assert found.missing() == []
        loaded = found.load()
        for shard in range(found.shards):
            # Each shard is of one of the two, with the record that belongs to it.
            ours = [part(found, shard, features(seed=seed)) for seed in (0, 1)]
            kept = part(found, shard, loaded)
            assert any(all(torch.equal(kept[n], one[n]) for n in kept) for one in ours)


def test_a_writer_waits_for_the_one_before_and_leaves_its_shard(store: Store) -> None:
    with opened(store) as found:
        late = Thread(target=found.write, args=(0, part(found, 0, features(seed=1))))
        with exclusive(found.folder / "lock"):
            late.start()
            late.join(0.2)
            assert late.is_alive()
            shards.write(found.folder, found.manifest, 0, part(found, 0, features()))
        late.join(60)
        assert torch.equal(found.read(0)["map0"], features()["map0"][:SHARD])


def test_a_copy_for_a_loader_worker_reads_the_same(store: Store) -> None:
    with filled(store) as found:
        found.rows([0])
        copy = pickle.loads(pickle.dumps(found))
        assert torch.equal(copy.rows([7, 1])["map0"], features()["map0"][[7, 1]])


def test_rows_check_a_shard_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []
    mapped = shards.mapped

    def counted(*arguments: object) -> object:
        checked.append(arguments[2])  # type: ignore[arg-type]
        return mapped(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(feature_set.shards, "mapped", counted)
    with filled(store) as found:
        for _ in range(3):
            found.rows([9, 1, 8])
    assert checked == [0, 2]


def test_what_computed_the_shards_is_kept_and_is_no_part_of_the_key(store: Store) -> None:
    with opened(store) as found:
        found.write(0, part(found, 0, features()))
    other = replace(ORIGIN, device="a GPU")
    with store.open(KEY, COUNT, SHAPES, other, SHARD) as found:
        assert found.missing() == [1, 2]
        found.write(1, part(found, 1, features()))
        assert found.devices() == ["a GPU", "cpu"]


def test_a_set_is_refused_before_anything_is_written_where_it_is_too_large(store: Store) -> None:
    filled(store).close()
    needed = required_bytes(COUNT, SHAPES, "float32", SHARD)
    kept = sum(p.stat().st_size for p in store.root.rglob("*") if p.is_file())
    small = Store(store.root, allowed=needed + kept - 1)
    with pytest.raises(FeatureError, match=r"more than the limit of .*HARNESS_FEATURES_LIMIT"):
        opened(small, of("f"))
    assert len([path for path in store.root.iterdir() if path.is_dir()]) == 1
    opened(Store(store.root, allowed=needed + kept), of("f")).close()
    # What is there already is read whatever the limit.
    opened(Store(store.root, allowed=0)).close()


def test_a_set_is_refused_where_the_disk_has_no_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=100))
    with pytest.raises(FeatureError, match=r"has 100 B left: make room .*HARNESS_CACHE"):
        opened(store)
    assert not [path for path in store.root.iterdir() if path.is_dir()]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureError, match=r"cannot write features .*HARNESS_CACHE"):
        opened(Store(tmp_path / "file" / "features"))
