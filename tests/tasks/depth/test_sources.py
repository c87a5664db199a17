"""Official layouts and folders: which pairs are found, and which are training, selection, test."""

from __future__ import annotations

import lzma
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import SPLITS, DataError, Split
from tasks.depth.data import DepthDataset
from tasks.depth.protocol import mask
from tasks.depth.sources import official
from tasks.depth.sources.contract import Listing
from tasks.depth.sources.files import Listings
from tasks.depth.sources.holding import held_out
from tests.tasks.depth import miniature
from tests.tasks.depth.miniature import (
    folder,
    recipe,
    scene,
    write_folder,
    write_kitti,
    write_nyuv2,
)

SHARED = Path(__file__).parents[4] / "shared/data"
FAR = {"nyuv2": {"max_depth": 10.0}, "kitti": {"max_depth": 80.0}}
SIZE = (120, 160)


def opened(name: str, root: Path, split: Split, **data: Any) -> DepthDataset:
    given = {"name": name, "root": root, "partial": True, "missing_truth": "count"} | data
    return DepthDataset(recipe(given, measure=FAR[name]), split)


def names(dataset: DepthDataset) -> list[str]:
    return [dataset.name(index) for index in range(len(dataset))]


@pytest.mark.parametrize("style", ["bts", "mim"])
@pytest.mark.parametrize("inside", [True, False])
def test_nyuv2(tmp_path: Path, style: Any, inside: bool) -> None:
    """The root may be the folder that holds `nyu_depth_v2`, or that folder."""
    root = write_nyuv2(tmp_path, size=SIZE, style=style)
    if inside:
        for found in root.glob("nyudepthv2*"):
            shutil.move(found, root / "nyu_depth_v2")
        root = root / "nyu_depth_v2"
    test = opened("nyuv2", root, "test")
    assert names(test) == ["bathroom/rgb_00000.jpg", "bathroom/rgb_00001.jpg"]
    _, depth = scene(100, SIZE, 8.0)
    assert np.abs(test.truth(0) - depth).max() <= 5.1e-4, "millimetres"
    assert (test.truth(0)[:15, :20] == 0).all()


@pytest.mark.parametrize("style", ["bts", "mim"])
def test_kitti(tmp_path: Path, style: Any) -> None:
    root = write_kitti(tmp_path, train=1, size=(360, 1220), style=style)
    test = opened("kitti", root, "test")
    assert len(test) == 2
    assert test.info.skipped == ({"no depth map": 1} if style == "bts" else {})
    assert test.truth(0).shape == (352, 1216)
    whole = test.source.depth(0)
    assert (test.truth(0) == whole.metres()[8:, 2:1218]).all(), "from the lower edge, in the middle"
    seen = test.source.image(0)[8:, 2:1218]
    item = DepthDataset(test.recipe.model_copy(update={"test": _sized(352, 1216)}), "test")
    assert (item.item(0, None)["image"] == seen.transpose(2, 0, 1)).all()


def _sized(height: int, width: int) -> Any:
    return recipe({"name": "microworld"}, test={"size": (height, width)}).test


@pytest.mark.parametrize("write", [write_nyuv2, write_kitti])
def test_both_lists_of_a_data_set_name_the_same_samples(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    name = "nyuv2" if write is write_nyuv2 else "kitti"
    size = SIZE if name == "nyuv2" else (352, 1216)
    styles = ("bts", "mim")
    roots = {style: write(tmp_path / style, 2, 1, size=size, style=style) for style in styles}
    for split in SPLITS:
        one, other = (opened(name, root, split) for root in roots.values())
        assert names(one) == names(other)
        assert one.info.sha256 == other.info.sha256


def test_nyuv2_test_images_need_no_list(tmp_path: Path) -> None:
    """All that lie in their folder are the official ones; the order is that of the names."""
    root = write_nyuv2(tmp_path, test=3, size=SIZE)
    listed = opened("nyuv2", root, "test")
    path = root / "nyudepthv2_test_files_with_gt.txt"
    path.write_text("\n".join(reversed(path.read_text().splitlines())))
    assert opened("nyuv2", root, "test").info == listed.info
    path.unlink()
    assert opened("nyuv2", root, "test").info == listed.info


def test_test_split_needs_nothing_of_training(tmp_path: Path) -> None:
    root = write_nyuv2(tmp_path, size=SIZE)
    shutil.rmtree(root / "nyu_depth_v2/sync")
    (root / "nyudepthv2_train_files_with_gt.txt").unlink()
    assert len(opened("nyuv2", root, "test")) == 2


def test_rooms_and_drives_are_held_out_whole(tmp_path: Path) -> None:
    root = write_nyuv2(tmp_path, train=8, size=SIZE)
    training, selection = (names(opened("nyuv2", root, s)) for s in ("training", "selection"))
    assert len(selection) == 2 and len(training) == 6
    # kitchen_0001a and kitchen_0001b are one room.
    rooms = [{name[:12] for name in part} for part in (training, selection)]
    assert not rooms[0] & rooms[1]
    assert names(opened("nyuv2", root, "training", join_selection=True)) == sorted(
        training + selection
    )
    assert names(opened("nyuv2", root, "selection", join_selection=True)) == selection
    others = [names(opened("nyuv2", root, "selection", held_out_seed=k)) for k in range(8)]
    assert len({tuple(other) for other in others}) > 1


def test_held_out_sequences() -> None:
    sequences = ["long"] * 24 + ["other"] * 24 + ["short"] * 5
    names = [str(k) for k in range(53)]
    for seed in range(20):
        held = held_out(sequences, names, 0.1, seed)
        assert {s for s, out in zip(sequences, held, strict=True) if out} == {"short"}
    many = [f"{k // 10}" for k in range(1000)]
    names = [str(k) for k in range(1000)]
    held = held_out(many, names, 0.2, 0)
    assert held.sum() == 200
    order = np.random.default_rng(0).permutation(1000)
    again = held_out([many[k] for k in order], [names[k] for k in order], 0.2, 0)
    assert (again == held[order]).all(), "wherever a sequence stands in the list"
    one = held_out(["a"] * 10, [str(k) for k in range(10)], 0.2, 0)
    assert one.sum() == 2, "of one sequence single images"
    assert held_out(["a", "b"], ["0", "1"], 0.9, 0).sum() == 1, "training keeps something"
    with pytest.raises(DataError, match="of one training image none can be held out"):
        held_out(["a"], ["0"], 0.5, 0)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("kind", ["png", "npy"])
def test_folders(tmp_path: Path, listed: bool, kind: Any) -> None:
    root = write_folder(tmp_path, kind=kind, listed=listed)
    parts = {split: names(folder(root, split)) for split in SPLITS}
    assert parts["test"] == [f"test/sequence_{k // 2}/rgb/{k:03d}.jpg" for k in range(3)]
    assert len(parts["training"]) == 4 and len(parts["selection"]) == 2
    assert len({name.split("/")[1] for name in parts["selection"]}) == 1
    _, depth = scene(100, miniature.SMALL, 8.0)
    tolerance = 5.1e-4 if kind == "png" else 0.0
    assert np.abs(folder(root, "test").truth(0) - depth).max() <= tolerance


def test_a_selection_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    root = write_folder(tmp_path, val=2)
    assert len(folder(root, "training")) == 6
    assert all(name.startswith("val/") for name in names(folder(root, "selection")))
    assert len(folder(root, "training", join_selection=True)) == 8


def test_what_is_beside_the_pairs_is_counted(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    miniature.write_depth(root / "train/sequence_0/depth/spare.png", np.full((4, 4), 1.0), 1000)
    (root / "train/sequence_0/rgb/notes.txt").write_text("")
    (root / "train/sequence_0/rgb/.hidden").write_text("")
    expected = {"depth map without an image": 1, "file that is no image": 1}
    assert folder(root).info.skipped == expected


def test_missing_depth_is_refused_or_counted(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    (root / "train/sequence_0/depth/001.png").unlink()
    with pytest.raises(
        DataError, match=r"1 of 6 images have no depth map, the first is `train/seq"
    ):
        folder(root)
    assert folder(root, missing_truth="count").info.skipped == {"no depth map": 1}


def test_a_test_image_in_training_is_refused_or_noted(tmp_path: Path) -> None:
    root = write_folder(tmp_path, listed=True)
    path = root / "train_files.txt"
    path.write_text(path.read_text() + (root / "test_files.txt").read_text().splitlines()[1])
    with pytest.raises(
        DataError, match=r"both training and test: 1, the first is `test/sequence_0"
    ):
        folder(root)
    assert folder(root, partial=True).info.facts["notes"] == ["images in both training and test: 1"]


@pytest.mark.parametrize("split", ["training", "selection"])
@pytest.mark.parametrize("write", [write_nyuv2, write_kitti])
def test_a_test_image_in_a_selection_list_of_ones_own_is_refused(
    tmp_path: Path, write: Callable[..., Path], split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside published lists too, which say nothing of that one, and by another name."""
    monkeypatch.setattr(official, "_complete", lambda *given: None)
    root, name = write(tmp_path, size=SIZE), "nyuv2" if write is write_nyuv2 else "kitti"
    stem = "nyudepthv2" if name == "nyuv2" else "eigen"
    train, test = (f"{stem}_{part}_files_with_gt.txt" for part in ("train", "test"))
    lines = (root / test).read_text().splitlines()[:2]
    inside = "official_splits/test/"
    own = [" ".join(inside + word for word in line.split()) for line in lines]
    (root / "own.txt").write_text("\n".join(own if name == "nyuv2" else lines))
    lists = {"training": train, "selection": "own.txt", "test": test}
    with pytest.raises(DataError, match=f"both {split} and test: 2, the first is `"):
        opened(name, root, split, lists=lists, join_selection=True, partial=False)


def test_a_selection_image_is_not_trained_on_or_once(tmp_path: Path) -> None:
    root = write_folder(tmp_path, val=2, listed=True)
    (root / "val/sequence_0/depth/001.png").unlink()
    path = root / "val_files.txt"
    path.write_text(path.read_text() + (root / "train_files.txt").read_text().splitlines()[1])
    given: dict[str, Any] = {"missing_truth": "count"}
    apart, joined = (folder(root, join_selection=join, **given) for join in (False, True))
    assert not set(names(apart)) & set(names(folder(root, "selection", **given)))
    assert len(apart) == 5 and apart.info.skipped == {"in the selection split": 1}
    assert len(joined) == len(set(names(joined))) == 7
    assert joined.info.skipped == {"no depth map": 1}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nyuv2", r"nyu_depth_v2/\{sync/SCENE/.*get it: .*cleinc/bts"),
        ("kitti", r"raw_data/DATE/DRIVE/.*get it: .*www\.cvlibs\.net"),
        ("folder", r"\{train,test\}/\*\*/\{rgb/NAME\.jpg, depth/NAME\.png"),
    ],
)
def test_what_is_missing_is_said_with_the_layout(tmp_path: Path, name: str, said: str) -> None:
    for root in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match=said) as found:
            DepthDataset(recipe({"name": name, "root": root}), "training")
        assert "\n" not in str(found.value)


def test_missing_images_are_named(tmp_path: Path) -> None:
    root = write_nyuv2(tmp_path, size=SIZE)
    (root / "nyu_depth_v2/official_splits/test/bathroom/rgb_00001.jpg").unlink()
    with pytest.raises(
        DataError, match=r"1 of 2 images are missing, the first is .*rgb_00001\.jpg"
    ):
        opened("nyuv2", root, "test")


@pytest.mark.parametrize(("name", "train", "test"), [("nyuv2", 24231, 654), ("kitti", 23158, 652)])
def test_counts_are_compared(tmp_path: Path, name: str, train: int, test: int) -> None:
    write: Callable[..., Path] = write_nyuv2 if name == "nyuv2" else write_kitti
    root = write(tmp_path, size=SIZE)
    for split, count in (("training", train), ("test", test)):
        with pytest.raises(DataError, match=f"expected {count} images .* for {split}, found [24]"):
            opened(name, root, split, partial=False)  # type: ignore[arg-type]


LISTS = {
    ("nyuv2", "bts"): (
        "nyudepthv2_train_files_with_gt.txt.xz",
        "nyudepthv2_test_files_with_gt.txt",
    ),
    ("nyuv2", "mim_depth"): ("nyudepthv2_train_list.txt.xz", "nyudepthv2_test_list.txt"),
    ("kitti", "bts"): ("eigen_train_files_with_gt.txt.xz", "eigen_test_files_with_gt.txt"),
    ("kitti", "mim_depth"): ("eigen_benchmark_train_list.txt.xz", "eigen_benchmark_test_list.txt"),
}


@pytest.mark.skipif(not (SHARED / "lists").is_dir(), reason="the official lists are not at hand")
@pytest.mark.parametrize(("name", "whose"), LISTS)
def test_official_lists(
    tmp_path: Path, name: str, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their counts and names are the published ones; one name changed is seen."""
    monkeypatch.setattr(Listings, "__contains__", lambda self, file: True)
    train, test = (SHARED / "lists" / whose / file for file in LISTS[name, whose])
    (tmp_path / "train.txt").write_bytes(lzma.decompress(train.read_bytes()))
    shutil.copyfile(test, tmp_path / "test.txt")
    data = {"lists": {"training": "train.txt", "test": "test.txt"}, "missing_truth": "count"}
    given = recipe({"name": name, "root": tmp_path} | data).data
    count = {"nyuv2": (24231, 654), "kitti": (23158, 652)}[name]
    for split, expected in zip(("training", "test"), count, strict=True):
        found = official.listing(tmp_path, given, split)  # type: ignore[arg-type]
        assert isinstance(found, Listing) and len(found.pairs) == expected
    text = (tmp_path / "test.txt").read_text()
    (tmp_path / "test.txt").write_text(text.replace("00", "0x", 1))
    with pytest.raises(DataError, match="as many images as the official one, but others"):
        official.listing(tmp_path, given, "test")


def test_a_map_that_is_listed_must_be_there(tmp_path: Path) -> None:
    """Only where the published list itself has none, none is needed."""
    root = miniature.write_kitti(tmp_path)
    data, measure = {"name": "kitti", "root": root, "partial": True}, {"max_depth": 80}
    test = DepthDataset(recipe(data, measure=measure), "test")
    assert test.info.skipped == {"no depth map": 1}
    next(root.glob("data_depth_annotated/*_0050_sync/**/0000000001.png")).unlink()
    with pytest.raises(DataError, match=r"1 of 2 images have no depth map"):
        DepthDataset(recipe(data, measure=measure), "test")
    found = DepthDataset(recipe(data | {"missing_truth": "count"}, measure=measure), "test")
    assert found.info.skipped == {"no depth map": 2}


@pytest.mark.skipif(not (SHARED / "lists").is_dir(), reason="the official lists are not at hand")
def test_bts_has_test_lines_without_depth(tmp_path: Path) -> None:
    source = SHARED / "lists/bts/eigen_test_files_with_gt.txt"
    shutil.copyfile(source, tmp_path / "eigen_test_files_with_gt.txt")
    for line in source.read_text().splitlines():
        for file in line.split()[:2]:
            folder = "" if "image_02/data" in file else "data_depth_annotated"
            path = tmp_path / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    given = recipe({"name": "kitti", "root": tmp_path}).data
    found = official.listing(tmp_path, given, "test")
    assert found is not None and len(found.pairs) == 652
    assert found.skipped == {"no depth map": 45}


@pytest.mark.skipif(not (SHARED / "rgbd_room").is_dir(), reason="rgbd_room is not at hand")
def test_rgbd_room() -> None:
    """Sizes differ within the test split."""
    root = SHARED / "rgbd_room"
    given = recipe({"name": "folder", "root": root, "unit": 1000}, (96, 128))
    parts = {split: DepthDataset(given, split) for split in SPLITS}
    assert len(parts["training"]) + len(parts["selection"]) == 53 and len(parts["test"]) == 26
    held = {name.split("/")[1] for name in names(parts["selection"])}
    assert not held & {name.split("/")[1] for name in names(parts["training"])}
    sizes = {parts["test"].truth(k).shape for k in range(26)}
    assert sizes == {(192, 256), (171, 256)}
    # The README's shares of valid pixels.
    hololens = [k for k in range(26) if "hololens" in parts["test"].name(k)]
    counted = [mask(parts["test"].truth(k), given.measure).mean() for k in hololens]
    assert np.mean(counted) == pytest.approx(0.622, abs=5e-4)


@pytest.mark.skipif(not (SHARED / "kitti_mini").is_dir(), reason="kitti_mini is not at hand")
def test_kitti_mini() -> None:
    lists = {"training": "files.txt", "test": "files.txt"}
    data = {"name": "kitti", "root": SHARED / "kitti_mini", "partial": True, "lists": lists}
    measure = {"crop": "kitti_garg", "max_depth": 80.0}
    given = recipe(data, (352, 352), test={"size": (352, 1216), "windows": 16}, measure=measure)
    test = DepthDataset(given, "test")
    assert len(test) == 4 and test.item(3, None)["image"].shape == (3, 352, 1216)
    assert all(0.02 < (test.truth(k) > 0).mean() < 0.06 for k in range(4)), "one sweep"
    assert DepthDataset(given, "training").info.facts["notes"]
