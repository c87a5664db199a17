"""What an item is, and what is measured against."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError, Ragged
from tasks.depth.data import DepthDataset
from tasks.depth.protocol import mask
from tasks.depth.sources.microworld import scenes
from tasks.microworld import Microworld
from tests.tasks.depth import miniature
from tests.tasks.depth.miniature import folder, recipe, write_folder, write_nyuv2

MOVES = {"flip": 0.5, "crop": "random", "cutdepth": 0.5, "gamma": 0.5}
WORLD = {"count": {"training": 6, "selection": 2, "test": 3}, "size": (32, 32)}


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "set")


def of_two_sizes(root: Path) -> Path:
    image, depth = miniature.scene(7, (40, 80), 8.0)
    miniature.write_image(root / "train/sequence_0/rgb/000.jpg", image)
    miniature.write_depth(root / "train/sequence_0/depth/000.png", depth, 1000)
    return root


def test_items_of_the_world() -> None:
    given = recipe({"name": "microworld"} | WORLD, augmentation=MOVES)
    data, world = DepthDataset(given, "test"), Microworld("test", 3, "scene", (32, 32))
    assert len(data) == 3 and scenes(given.data, "test").folder == world.folder
    plain = data.item(1, None)
    assert (plain["image"] == world.image(1).transpose(2, 0, 1)).all()
    assert (plain["depth"] == world.depth(1)).all() and plain["depth"].dtype == np.float32
    assert (data.truth(1) == world.depth(1)).all()
    one, two = (data.item(1, rng(seed)) for seed in (3, 4))
    assert set(one) == {"image", "depth"} and one["image"].dtype == np.uint8
    assert one["image"].flags.c_contiguous
    assert (one["image"] != two["image"]).any()


def test_evaluation_measures_at_the_truths_own_size(root: Path) -> None:
    given = {"name": "folder", "root": of_two_sizes(root), "unit": 1000}
    measure = {"min_depth": 1.0, "max_depth": 6.0}
    data = DepthDataset(recipe(given, (24, 32), measure=measure), "training")
    for index, size in ((0, (40, 80)), (1, (48, 64))):
        item = data.item(index, None)
        assert item["image"].shape == (3, 24, 32) and item["depth"].shape == (24, 32)
        assert tuple(item["truth_size"]) == size == data.truth(index).shape
        assert isinstance(item["valid"], Ragged) and item["valid"].values.dtype == np.uint8
        bits = np.unpackbits(item["valid"].values, count=size[0] * size[1]).reshape(size)
        truth = data.truth(index)
        assert (bits == ((truth > 1) & (truth < 6))).all() and 0 < bits.mean() < 1


def test_the_crop_that_is_measured(tmp_path: Path) -> None:
    root = write_nyuv2(tmp_path, train=2, test=1)
    given = {"name": "nyuv2", "root": root, "partial": True}
    found = recipe(given, (48, 48), test={"size": (48, 64)}, measure={"crop": "nyu_eigen"})
    data = DepthDataset(found, "test")
    counted = mask(data.truth(0), found.measure)
    rows, columns = np.nonzero(counted)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (45, 470, 41, 600)
    pixels = data.info.facts["pixels"]
    assert pixels["all"] == 480 * 640 and pixels["unmeasured"] == 60 * 80
    assert pixels["all"] - pixels["unmeasured"] - pixels["not_counted"] == counted.sum()
    assert (np.unpackbits(data.item(0, None)["valid"].values) == counted.ravel()).all()


def test_training_cuts_what_evaluation_sees(root: Path) -> None:
    """Images are brought to `test.size` first, so that both see them at one scale."""
    given = {"name": "folder", "root": root, "unit": 1000}
    wide = recipe(given, (24, 24), test={"size": (24, 32)}, augmentation={"crop": "random"})
    data = DepthDataset(wide, "training")
    whole = data.item(0, None)
    for seed in range(10):
        item = data.item(0, rng(seed))
        assert item["image"].shape == (3, 24, 24) and item["depth"].shape == (24, 24)
        places = [
            left
            for left in range(9)
            if (whole["image"][..., left : left + 24] == item["image"]).all()
            and (whole["depth"][:, left : left + 24] == item["depth"]).all()
        ]
        assert len(places) == 1


def test_crops_that_do_not_fit() -> None:
    given: dict[str, Any] = {"name": "microworld"}
    with pytest.raises(ValueError, match=r"training cannot cut backbone\.input_size, 32x32"):
        recipe(given, (32, 32), test={"size": (24, 48)}, augmentation={"crop": "centre"})
    assert recipe(given, (32, 32), test={"size": (24, 48)}).test.size == (24, 48)


def test_permuted_exchanges_the_maps(root: Path) -> None:
    data = folder(of_two_sizes(root), join_selection=True)
    mixed = data.permuted(3)
    assert len(mixed) == len(data) == 6
    every = range(6)
    moved = [mixed.truth(k).tobytes() != data.truth(k).tobytes() for k in every]
    assert sum(moved) > 3
    maps = [sorted(of.truth(k).tobytes() for k in every) for of in (mixed, data)]
    assert maps[0] == maps[1]
    for k in every:
        one, other = data.item(k, None), mixed.item(k, None)
        assert (one["image"] == other["image"]).all() and other["depth"].shape == (48, 64)
        assert mixed.item(k, rng(0))["depth"].shape == (48, 64)
    assert [data.permuted(3).truth(k).tobytes() for k in every] == [
        mixed.truth(k).tobytes() for k in every
    ]
    assert data.permuted(4).truth_rows.tolist() != mixed.truth_rows.tolist()


def test_fractions_are_nested(root: Path) -> None:
    data = folder(write_folder(root.parent / "more", train=12), join_selection=True)
    parts = [data.fraction(share, 1) for share in (0.25, 0.5, 1.0)]
    found = [{part.name(k) for k in range(len(part))} for part in parts]
    assert [len(part) for part in parts] == [part.info.count for part in parts] == [3, 6, 12]
    assert found[0] < found[1] < found[2]
    assert len({part.info.sha256 for part in parts}) == 3
    pixels = [part.info.facts["pixels"]["all"] for part in parts]
    assert pixels == [count * 48 * 64 for count in (3, 6, 12)]


def test_the_mean_map(root: Path) -> None:
    """Pixel by pixel over those in range, and the number that no other beats."""
    (root / "train/sequence_0/depth/000.png").unlink()
    data = folder(root, missing_truth="count", join_selection=True)
    mean, best = data.mean_map()
    depth = np.stack([data.truth(k) for k in range(len(data))]).astype(np.float64)
    valid = (depth > 1e-3) & (depth < 10)
    seen = valid.any(0)
    expected = np.array(
        [d[v].mean() for d, v in zip(depth.T[seen.T], valid.T[seen.T], strict=True)]
    )
    np.testing.assert_allclose(mean.T[seen.T], expected, rtol=1e-6)
    assert mean.dtype == np.float32 and (mean[~seen] == np.float32(best)).all() and (~seen).any()

    def error(number: float) -> float:
        return float(((depth[valid] - number) ** 2).mean())

    assert error(best) < min(error(best - 1e-3), error(best + 1e-3))


def test_the_mean_map_where_nothing_is_in_range(root: Path) -> None:
    given = {"name": "folder", "root": root, "unit": 1000}
    data = DepthDataset(recipe(given, measure={"min_depth": 90, "max_depth": 100}), "training")
    with pytest.raises(DataError, match="no training depth is between 90 and 100 m"):
        data.mean_map()


def test_fixed_where_nothing_moves_an_image() -> None:
    data = DepthDataset(recipe({"name": "microworld"} | WORLD), "training")
    assert data.fixed
    assert (data.item(0, rng(0))["image"] == data.item(0, None)["image"]).all()
    for moved in ({"flip": 0.5}, {"gamma": 0.5}, {"cutdepth": 0.5}):
        assert not DepthDataset(
            recipe({"name": "microworld"} | WORLD, augmentation=moved), "training"
        ).fixed
    whole = recipe({"name": "microworld"} | WORLD, augmentation={"crop": "random"})
    assert DepthDataset(whole, "training").fixed, "a crop of everything"
    cut = recipe({"name": "microworld"} | WORLD, (24, 24), test={"size": (24, 32)})
    assert not DepthDataset(cut, "training").fixed


def test_a_limit_takes_the_first_images(root: Path) -> None:
    data = folder(root, "test", limit=2)
    assert len(data) == data.info.count == 2
    assert [data.name(k) for k in range(2)] == [folder(root, "test").name(k) for k in range(2)]
    assert data.info.facts["pixels"]["all"] == 2 * 48 * 64
    assert data.info.sha256 != folder(root, "test").info.sha256


def test_the_hash_is_over_what_decides_the_samples(root: Path) -> None:
    first = folder(root, "test").info.sha256
    assert folder(root, "test").info.sha256 == first
    assert folder(root, "test", unit=1001).info.sha256 != first
    path = root / "test/sequence_0/depth/000.png"
    miniature.write_depth(path, miniature.scene(9, (48, 64), 8.0)[1], 1000)
    assert folder(root, "test").info.sha256 != first


def test_items_in_another_process(root: Path) -> None:
    for data in (folder(root), DepthDataset(recipe({"name": "microworld"} | WORLD), "training")):
        copy = pickle.loads(pickle.dumps(data))
        assert (copy.item(1, rng(5))["image"] == data.item(1, rng(5))["image"]).all()


def test_large_sets_are_not_read_whole_when_opened(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.depth.data.SCANNED_AT_MOST", 2)
    (root / "train/sequence_0/depth/000.png").write_bytes(b"")
    data = folder(root)
    assert data.info.facts["pixels"] is None
    with pytest.raises(DataError, match=r"000\.png"):
        [data.item(k, None) for k in range(len(data))]
