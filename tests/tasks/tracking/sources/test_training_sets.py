"""Which sequences are trained on, which select, and that no test sequence is among them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contract import DataError, RecipeError
from tasks.tracking.recipe import TrackingData
from tasks.tracking.sources.opening import open_source, open_training_sets
from tests.tasks.tracking.sources import miniature
from tests.tasks.tracking.sources.miniature import box, settings, write

SHARED = Path(__file__).parents[5] / "shared/data"


def _names(data: TrackingData) -> list[list[str]]:
    return [[one.name for one in source.sequences] for source, _ in open_training_sets(data)]


def _sets(root: Path, *sets: dict[str, Any], **others: Any) -> TrackingData:
    return settings("otb100", miniature.write_otb(root), sets=sets, **others)


def test_own_training_split(tmp_path: Path) -> None:
    data = settings("got10k", miniature.write_got10k(tmp_path, count=5))
    ((source, weight),) = open_training_sets(data)
    assert weight == 1 and source.digest == open_source(data, "training").digest
    assert len(source.sequences) == 4  # One is held out.


def test_several_sets(tmp_path: Path) -> None:
    miniature.write_got10k(tmp_path / "got", count=4)
    miniature.write_coco(tmp_path / "coco")
    miniature.write_lasot(tmp_path / "lasot")
    write(tmp_path / "names.txt", "GOT-10k_Train_000002\n")
    data = _sets(
        tmp_path / "otb",
        {"name": "coco", "root": tmp_path / "coco", "weight": 0.5},
        {"name": "got10k", "root": tmp_path / "got", "exclude": tmp_path / "names.txt"},
        {"name": "lasot", "root": tmp_path / "lasot", "weight": 2},
    )
    sources = open_training_sets(data)
    assert [weight for _, weight in sources] == [0.5, 1, 2]
    coco, got, lasot = _names(data)
    assert coco == ["100", "101", "103"]
    assert lasot == ["airplane-2", "airplane-10"]
    # The first set of videos gives the selection split, of what is not excluded.
    selection = [one.name for one in open_source(data, "selection").sequences]
    kept = {f"GOT-10k_Train_{k:06d}" for k in (1, 3, 4)}
    assert len(selection) == 1 and set(got) | set(selection) == kept and len(got) == 2
    assert sources[1][0].skipped == {"excluded by name": 1}
    assert sources[0][0].skipped == {"crowd of objects": 1}


def test_an_own_selection_split_takes_nothing_from_training(tmp_path: Path) -> None:
    root = miniature.write_got10k(tmp_path)
    folder = {"name": "got10k", "root": root}
    (names,) = _names(settings("got10k", root, version="test", sets=[folder]))
    assert len(names) == 3
    assert len(_names(settings("got10k", root, sets=[folder]))[0]) == 2


def test_a_folder_to_train_on_needs_no_split_folders(tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        miniature.write_sequence(tmp_path / "own" / name)
    data = _sets(tmp_path / "otb", {"name": "folder", "root": tmp_path / "own"})
    assert len(_names(data)[0]) == 2


def test_nothing_to_train_on(tmp_path: Path) -> None:
    data = settings("otb100", miniature.write_otb(tmp_path / "otb"))
    message = r"`otb100` has test sequences alone: .*data.sets=.*model.type=correlation"
    with pytest.raises(RecipeError, match=message):
        open_training_sets(data)
    with pytest.raises(RecipeError, match=message):
        open_source(data, "selection")
    miniature.write_coco(tmp_path / "coco")
    data = _sets(tmp_path / "otb", {"name": "coco", "root": tmp_path / "coco"})
    with pytest.raises(RecipeError, match=r"has no selection split and `data.sets` no videos"):
        open_source(data, "selection")
    miniature.write_sequence(tmp_path / "own" / "x")
    data = _sets(tmp_path / "otb", {"name": "folder", "root": tmp_path / "own"})
    with pytest.raises(DataError, match=r"of one training sequence none can be held out"):
        open_training_sets(data)


def test_exclusions_that_are_not_there(tmp_path: Path) -> None:
    miniature.write_sequence(tmp_path / "own" / "x")
    miniature.write_sequence(tmp_path / "own" / "y")
    write(tmp_path / "names.txt", "x\nnobody\n")
    one = {"name": "folder", "root": tmp_path / "own", "exclude": tmp_path / "names.txt"}
    otb = miniature.write_otb(tmp_path / "otb")
    data = settings("otb100", otb, sets=[one], partial=False)
    with pytest.raises(DataError, match=r"excludes 1 sequences that `folder` does not have, such"):
        open_training_sets(data)


def test_test_sequences_are_not_trained_on(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in ("same", f"{part}1", f"{part}2"):
            miniature.write_sequence(tmp_path / "own" / part / name)
    data = settings("folder", tmp_path / "own", partial=False)
    message = r"both training \(folder\) and test \(folder\), by name: 1, the first is `same`"
    with pytest.raises(DataError, match=message):
        open_source(data, "training")
    noted = open_source(data.model_copy(update={"partial": True}), "training")
    assert len(noted.notes) == 1 and "`same`" in noted.notes[0]
    with pytest.raises(DataError, match=message):
        one = {"name": "folder", "root": tmp_path / "own"}
        open_training_sets(settings("folder", tmp_path / "own", partial=False, sets=[one]))
    # A name that another data set has too is noted: it need not be the same video.
    miniature.write_sequence(tmp_path / "other" / "Basketball")
    miniature.write_sequence(tmp_path / "other" / "x")
    one = {"name": "folder", "root": tmp_path / "other"}
    ((source, _),) = open_training_sets(_sets(tmp_path / "otb", one))
    assert any("`Basketball`" in note for note in source.notes)


def test_vot_and_got10k_share_videos(tmp_path: Path) -> None:
    one = {"name": "got10k", "root": miniature.write_got10k(tmp_path / "got")}
    data = settings("vot", miniature.write_vot(tmp_path / "vot"), sets=[one])
    ((source, _),) = open_training_sets(data)
    assert any("share videos" in note for note in source.notes)


def test_static_objects(tmp_path: Path) -> None:
    root = miniature.write_coco(tmp_path)
    data = _sets(tmp_path / "otb", {"name": "coco", "root": root})
    ((plain, _),) = open_training_sets(data)
    one = plain.sequences[2]
    assert one.name == "103" and len(one) == 1 and one.boxes.tolist() == [box(1)]
    assert one.frames.read(0).shape == (24, 32, 3)
    assert len(plain.sequences[:2]) == 2
    assert len(pickle.loads(pickle.dumps(plain)).sequences) == 3
    miniature.pack(root / "train", root / "train.zip", "train/")
    (root / "train").rename(tmp_path / "away")
    ((packed, _),) = open_training_sets(data)
    assert packed.digest == plain.digest
    np.testing.assert_array_equal(packed.sequences[2].frames.read(0), one_frame(tmp_path))
    (root / "train.zip").unlink()
    with pytest.raises(DataError, match=r"COCO: expected below .*instances_train2017.json"):
        open_training_sets(data)


def one_frame(root: Path) -> np.ndarray:
    from tasks import images

    return images.read(root / "away" / "b.jpg")


def test_static_images_that_are_missing_or_of_another_size(tmp_path: Path) -> None:
    root = miniature.write_coco(tmp_path)
    (root / "train" / "a.jpg").write_bytes(miniature.jpeg(1, 20, 20))
    one = {"name": "coco", "root": root}
    ((source, _),) = open_training_sets(_sets(tmp_path / "otb", one))
    with pytest.raises(DataError, match=r"sequence `100`: .*a.jpg` has 20x20 .* annotation 32x24"):
        source.sequences[0].frames.read(0)
    (root / "train" / "a.jpg").unlink()
    ((source, _),) = open_training_sets(_sets(tmp_path / "otb", one))
    assert [one.name for one in source.sequences] == ["103"]
    assert source.skipped["object of an image without a file"] == 2
    otb = tmp_path / "otb"
    with pytest.raises(DataError, match=r"1 of 2 images are missing in .*, the first is `a.jpg`"):
        open_training_sets(settings("otb100", otb, sets=[one], partial=False))


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder of shared data")
def test_shared_sequences() -> None:
    data = settings("folder", SHARED / "tracking", partial=False)
    names = {
        split: [one.name for one in open_source(data, split).sequences]
        for split in ("training", "selection", "test")  # type: ignore[arg-type]
    }
    assert names == {
        "training": ["david", "motor_rolling", "ball1", "uav_building4"],
        "selection": ["skiing", "uav_boat1"],
        "test": ["crossing", "bolt", "bag", "human3"],
    }
    one = open_source(data, "test").sequences[3]
    assert len(one) == 50 and one.frames.read(49).shape == (320, 240, 3)
    assert open_source(data, "selection").sequences[1].absent is not None
    sets = [{"name": "coco", "root": SHARED / "coco_mini"}]
    trained = settings("folder", SHARED / "tracking", sets=sets)
    assert len(open_training_sets(trained)[0][0].sequences) == 731
