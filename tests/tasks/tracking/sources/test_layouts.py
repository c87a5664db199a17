"""Every official layout, read from miniatures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.contract import DataError, RecipeError
from tasks.tracking.sources import lasot, otb, uav123, vot
from tasks.tracking.sources.opened import LAYOUTS
from tests.tasks.tracking.sources import miniature
from tests.tasks.tracking.sources.miniature import box, lines, opened, settings, write


def _level(source_frame: np.ndarray) -> int:
    """The number that a miniature's frame tells."""
    return round(float(source_frame.mean()) / 2)


def test_got10k_parts_and_labels(tmp_path: Path) -> None:
    root = miniature.write_got10k(tmp_path)
    val = opened("got10k", root)
    assert [one.name for one in val.sequences] == [f"GOT-10k_Val_{k:06d}" for k in (1, 2, 3)]
    one = val.sequences[0]
    assert one.boxes.tolist() == [box(k) for k in (1, 2, 3, 4)]
    assert one.absent is not None and one.absent.tolist() == [False, False, True, False]
    assert one.cover is not None and one.cover.tolist() == [8, 7, 0, 4]
    assert one.visible is None and one.labelled
    assert one.attributes == ("root_class animal", "motion_class running", "motion_adverb slowly")
    assert _level(one.frames.read(2)) == 3
    assert one.frames.name(2) == "GOT-10k_Val_000001/00000003.jpg"


def test_got10k_test_knows_the_first_box_alone(tmp_path: Path) -> None:
    root = miniature.write_got10k(tmp_path)
    one = opened("got10k", root, version="test").sequences[0]
    assert not one.labelled and len(one) == 4
    assert one.boxes[0].tolist() == box(1) and np.isnan(one.boxes[1:]).all()
    selection = opened("got10k", root, "selection", version="test")
    assert selection.sequences[0].name == "GOT-10k_Val_000001"
    with pytest.raises(RecipeError, match=r"data.version is val or test, not `train`"):
        opened("got10k", root, version="train")


def test_got10k_selection_is_held_out_of_training(tmp_path: Path) -> None:
    root = miniature.write_got10k(tmp_path, count=10)
    names = {
        split: [one.name for one in opened("got10k", root, split, held_out=0.3).sequences]
        for split in ("training", "selection", "test")
    }
    assert len(names["selection"]) == 3 and len(names["training"]) == 7
    assert not set(names["selection"]) & set(names["training"])
    assert all("Train" in name for name in names["selection"] + names["training"])
    assert names["training"] == sorted(names["training"])
    other = opened("got10k", root, "selection", held_out=0.3, held_out_seed=1)
    assert [one.name for one in other.sequences] != names["selection"]
    fewer = opened("got10k", root, "selection", held_out=0.3, limit=1)
    assert [one.name for one in fewer.sequences] == names["selection"][:1]


def test_another_number_than_was_published_is_refused(tmp_path: Path) -> None:
    root = miniature.write_got10k(tmp_path)
    expected = r"GOT-10k \(2018\): expected 180 sequences of val, found 3 in .*data.partial=true"
    with pytest.raises(DataError, match=expected):
        opened("got10k", root, partial=False)
    with pytest.raises(DataError, match=r"expected 9335 sequences of train, found 3"):
        opened("got10k", root, "training", partial=False)
    with pytest.raises(DataError, match=r"expected 16 sequences of test, found 2"):
        opened("vot", miniature.write_vot(tmp_path / "vot2013"), partial=False)


def test_published_facts() -> None:
    names = lasot.test_names()
    assert len(set(names)) == 280
    assert len({name.rpartition("-")[0] for name in names}) == 70
    videos = otb.videos()
    assert len(videos) == 98  # Jogging and Skating2 have two targets.
    assert sum(video.in_2013 for video in videos.values()) == 50
    assert set(otb.RANGES) <= set(videos)
    parts = uav123.sequences()
    assert len(parts) == 123 and len({video for video, _, _ in parts.values()}) == 91
    assert parts["uav1_3"] == ("uav1", 2473, 3469)
    assert all(first < last for _, first, last in parts.values())
    assert LAYOUTS["otb2015"] is LAYOUTS["otb100"]


def test_lasot(tmp_path: Path) -> None:
    root = miniature.write_lasot(tmp_path)
    test = opened("lasot", root)
    assert [one.name for one in test.sequences] == [f"airplane-{k}" for k in (1, 9, 13, 15)]
    one = test.sequences[0]
    assert one.boxes[1].tolist() == [0, 0, 0, 0]  # As the file has it.
    assert one.absent is not None and one.absent.tolist() == [False, True, True, False]
    assert one.visible is not None and one.visible.tolist() == [True, False, False, True]
    assert one.attributes == ("illumination variation", "out of view")
    assert test.sequences[1].attributes == ()
    training = [one.name for one in opened("lasot", root, "training").sequences]
    selection = [one.name for one in opened("lasot", root, "selection").sequences]
    assert sorted(training + selection) == ["airplane-10", "airplane-2"]
    (root / "airplane" / "airplane-1" / "out_of_view.txt").unlink()
    assert opened("lasot", root).sequences[0].visible is None


def test_trackingnet_sorts_by_number(tmp_path: Path) -> None:
    root = miniature.write_trackingnet(tmp_path)
    training = opened("trackingnet", root, "training", held_out=0.25)
    selection = opened("trackingnet", root, "selection", held_out=0.25)
    names = [one.name for one in (*training.sequences, *selection.sequences)]
    assert sorted(names) == ["a", "b", "c", "d"] and len(selection.sequences) == 1
    one = training.sequences[0]
    assert [_level(one.frames.read(k)) for k in (1, 2, 10)] == [1, 2, 10]
    assert one.boxes[10].tolist() == box(10) and one.absent is None and one.labelled
    test = opened("trackingnet", root).sequences[0]
    assert len(test) == 12 and not test.labelled and np.isnan(test.boxes[1:]).all()


def test_trackingnet_in_its_own_archives(tmp_path: Path) -> None:
    root = miniature.write_trackingnet(tmp_path / "plain")
    before = opened("trackingnet", root)
    folder = root / "TEST" / "frames"
    (root / "TEST" / "zips").mkdir()
    miniature.pack(folder / "e", root / "TEST" / "zips" / "e.zip")
    folder.rename(tmp_path / "away")
    assert opened("trackingnet", root).digest == before.digest


def test_otb_ranges_and_targets(tmp_path: Path) -> None:
    root = miniature.write_otb(tmp_path)
    found = {one.name: one for one in opened("otb100", root).sequences}
    names = ["Basketball", "David", "Football1", "Human4", "Jogging.1", "Jogging.2"]
    assert list(found) == names
    assert len(found["David"]) == 471 and len(found["Football1"]) == 74
    assert found["David"].frames.name(0) == "David/0300.jpg"
    assert found["David"].boxes[0].tolist() == box(300)  # As the file has it, counted from 1.
    assert found["Jogging.2"].boxes[0].tolist() == box(4)
    assert found["Jogging.1"].boxes[0].tolist() == box(1)
    assert found["Human4"].boxes[0].tolist() == box(1)
    assert found["Human4"].attributes == (
        "illumination variation",
        "scale variation",
        "occlusion",
        "deformation",
    )
    older = [one.name for one in opened("otb2013", root).sequences]
    assert older == [name for name in names if name != "Human4"]
    with pytest.raises(RecipeError, match=r"`otb100` has test sequences alone: .*data.sets="):
        opened("otb100", root, "training")


def test_uav123_sequences_are_parts_of_videos(tmp_path: Path) -> None:
    root = miniature.write_uav123(tmp_path)
    found = {one.name: one for one in opened("uav123", root).sequences}
    assert list(found) == ["truck4_1", "truck4_2", "uav6"]
    assert [len(one) for one in found.values()] == [577, 685, 109]
    assert found["truck4_2"].frames.name(0) == "truck4_2/000577.jpg"
    one = found["uav6"]
    assert one.absent is not None and np.flatnonzero(one.absent).tolist() == [5]
    assert np.isnan(one.boxes[5]).all()
    assert one.attributes[:2] == ("scale variation", "low resolution")
    (root / "data_seq" / "UAV123" / "uav6" / "000109.jpg").unlink()
    message = r"sequence `uav6`: it has the frames 1 to 109, in .* there are 1 to 108 of them"
    with pytest.raises(DataError, match=message):
        opened("uav123", root)


def _slow_rectangle(polygon: list[float]) -> list[float]:
    """The stated rule, corner by corner."""
    xs, ys = polygon[0::2], polygon[1::2]
    first = ((xs[0] - xs[1]) ** 2 + (ys[0] - ys[1]) ** 2) ** 0.5
    second = ((xs[1] - xs[2]) ** 2 + (ys[1] - ys[2]) ** 2) ** 0.5
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    scale = (first * second / (width * height)) ** 0.5
    width, height = scale * width + 1, scale * height + 1
    return [sum(xs) / 4 - width / 2, sum(ys) / 4 - height / 2, width, height]


def test_vot_polygons(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    polygons = rng.uniform(0, 100, (50, 8))
    wanted = [_slow_rectangle(polygon.tolist()) for polygon in polygons]
    np.testing.assert_allclose(vot.rectangles(polygons), wanted, rtol=1e-12, atol=1e-9)
    point = vot.rectangles(np.full((1, 8), 3.0))
    assert point.tolist() == [[2.5, 2.5, 1.0, 1.0]]
    source = opened("vot", miniature.write_vot(tmp_path / "vot2018").parent, version="vot2018")
    bag, ball = source.sequences
    # A square of 10 x 8 at (4, 4), and 1 more in each side; a diamond has half its rectangle.
    np.testing.assert_allclose(bag.boxes[0], [3.5, 3.5, 11, 9])
    np.testing.assert_allclose(bag.boxes[1, 2:], 16 / np.sqrt(2) + 1)
    assert bag.absent is not None and bag.absent.tolist() == [False, False, True]
    assert bag.attributes == ("occlusion",) and ball.absent is None
    assert ball.boxes.tolist() == [box(k) for k in (1, 2, 3)]


@pytest.mark.parametrize("between", [",", "\t", " ", ", ", " \t", ";"])
def test_numbers_stand_between_anything(tmp_path: Path, between: str) -> None:
    miniature.write_sequence(tmp_path / "one", between=between)
    one = opened("folder", tmp_path).sequences[0]
    assert one.boxes.tolist() == [box(k) for k in (1, 2, 3, 4)]


def test_folder_kinds(tmp_path: Path) -> None:
    listed = tmp_path / "listed"
    miniature.write_sequence(listed / "b")
    miniature.write_sequence(listed / "a")
    plain = opened("folder", listed)
    assert [one.name for one in plain.sequences] == ["a", "b"]
    write(listed / "list.txt", "b\r\n\r\n")
    assert [one.name for one in opened("folder", listed).sequences] == ["b"]
    alone = opened("folder", listed / "a")
    assert [one.name for one in alone.sequences] == ["a"]
    nested = tmp_path / "nested" / "test" / "x"
    miniature.frames(nested / "img", range(0, 20, 5), "shot1_{:d}.jpg")
    write(nested / "groundtruth.txt", lines([box(k) for k in range(4)]).replace("\n", "\r\n"))
    one = opened("folder", tmp_path / "nested").sequences[0]
    assert [_level(one.frames.read(k)) for k in range(4)] == [0, 5, 10, 15]
    with pytest.raises(RecipeError, match=r"`folder` has test sequences alone: name what is"):
        opened("folder", tmp_path / "nested", "training")


def test_folder_with_unknown_boxes(tmp_path: Path) -> None:
    folder = miniature.write_sequence(tmp_path / "one")
    write(folder / "groundtruth.txt", lines([box(1), box(2)]) + "nan nan nan nan\n1,2,3,4\n")
    one = opened("folder", tmp_path).sequences[0]
    assert np.isnan(one.boxes).all(1).tolist() == [False, False, True, False]
    write(folder / "groundtruth.txt", lines([box(1)]))
    assert not opened("folder", tmp_path).sequences[0].labelled


def test_layout_is_printed_where_it_is_missing(tmp_path: Path) -> None:
    for name, layout in LAYOUTS.items():
        with pytest.raises(DataError) as caught:
            opened(name, tmp_path)
        assert layout.expected in str(caught.value) and "\n" not in str(caught.value)
        with pytest.raises(DataError, match=f"`{name}` needs --data-root DIR"):
            opened(name, None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"there is no folder `.*/nowhere`; expected"):
        opened("lasot", tmp_path / "nowhere")
    with pytest.raises(RecipeError, match=r"data.version is for got10k and vot"):
        opened("lasot", tmp_path, version="2")


def test_digest_follows_what_decides(tmp_path: Path) -> None:
    root = miniature.write_got10k(tmp_path)
    before = opened("got10k", root).digest
    assert opened("got10k", root).digest == before
    folder = root / "val" / "GOT-10k_Val_000002"
    changed = set()
    for path, content in (
        ("groundtruth.txt", (folder / "groundtruth.txt").read_bytes().replace(b"2.5", b"2.6")),
        ("00000002.jpg", miniature.jpeg(2) + b"\xff\xd9"),
        ("cover.label", b"8\n6\n0\n4\n"),
    ):
        kept = (folder / path).read_bytes()
        (folder / path).write_bytes(content)
        changed.add(opened("got10k", root).digest)
        (folder / path).write_bytes(kept)
    (root / "val" / "list.txt").write_text("GOT-10k_Val_000001\nGOT-10k_Val_000002\n")
    changed.add(opened("got10k", root).digest)
    assert len(changed | {before}) == 5
    assert settings("got10k", root).name == "got10k"
