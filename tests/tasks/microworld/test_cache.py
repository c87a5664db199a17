"""Prepared data sets: the same bytes any way, whole or not at all, checked when read."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness import plugins
from harness.recipes import load_resolved
from tasks.contract import DataError
from tasks.microworld import COUNTS, Microworld, check, prepare_all, preview, render
from tasks.microworld.annotate import annotate

SIZE = (32, 48)


def small(root, count=20, kind="scene", split="training"):
    return Microworld(split, count, kind, SIZE, root=root)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("cache")
    world = small(root)
    world.prepare(workers=0)
    return world


@pytest.fixture
def copied(prepared, tmp_path):
    shutil.copytree(prepared.root, tmp_path / "cache", copy_function=shutil.copy2)
    return small(tmp_path / "cache")


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_bytes(prepared, tmp_path, workers):
    told = []
    world = small(tmp_path)
    world.prepare(lambda done, total: told.append((done, total)), workers)
    assert told[-1] == (20, 20) and told == sorted(told)
    assert world.manifest == prepared.manifest
    for name in world.manifest["files"]:
        assert (world.folder / name).read_bytes() == (prepared.folder / name).read_bytes()


def test_reading_gives_back_the_rendering(prepared):
    for index in (0, 7, 19):
        scene = prepared.describe(index)
        rendered = render(scene, SIZE)
        assert np.array_equal(prepared.image(index), rendered.image)
        assert np.array_equal(prepared.depth(index), rendered.depth)
        assert np.array_equal(prepared.instances(index), rendered.instances)
        assert prepared.annotations(index) == annotate(scene, rendered)


def test_videos_are_read_by_frame(tmp_path):
    world = small(tmp_path, 2, "video")
    scene = world.describe(1, 13)
    rendered = render(scene, SIZE)
    assert np.array_equal(world.image(1, 13), rendered.image)
    assert world.annotations(1, 13) == annotate(scene, rendered)
    with pytest.raises(IndexError):
        world.image(1, 24)


def test_a_smaller_count_is_the_beginning_of_a_larger_one(prepared, tmp_path):
    fewer = small(tmp_path, 5)
    assert all(np.array_equal(fewer.image(n), prepared.image(n)) for n in range(5))
    assert fewer.manifest["sha256"] != prepared.manifest["sha256"]


def test_pre_training_has_images_only(tmp_path):
    world = small(tmp_path, 4, "mixed", "pretraining")
    assert set(world.manifest["files"]) == {"images.npy"}
    for read in (world.depth, world.instances, world.annotations):
        with pytest.raises(DataError, match="images only"):
            read(0)


def test_copies_in_other_processes_read_the_same(prepared):
    code = (
        "import pickle, sys; world = pickle.load(sys.stdin.buffer);"
        "assert 'torch' not in sys.modules;"
        "sys.stdout.buffer.write(world.image(3).tobytes())"
    )
    path = os.pathsep.join(p or str(Path.cwd()) for p in sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(prepared),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
    assert done.stdout == prepared.image(3).tobytes()


def test_an_interrupted_preparation_leaves_no_data_set(tmp_path):
    code = (
        "import sys; from tasks.microworld import Microworld;"
        "world = Microworld('training', 3000, 'scene', (32, 48), root=sys.argv[1]);"
        "world.prepare(lambda done, total: print(done, flush=True), workers=2)"
    )
    path = os.pathsep.join(p or str(Path.cwd()) for p in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdout is not None and process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    world = Microworld("training", 3000, "scene", SIZE, root=tmp_path)
    assert not world.folder.exists()
    partial = world.folder.with_name(world.folder.name + ".partial")
    assert partial.exists(), "the kill came too late to test anything"
    with pytest.raises(DataError, match="no data set"):
        check(tmp_path)
    # What is left is thrown away by the next preparation of the same data set.
    time.sleep(0.2)
    few = small(tmp_path, 2)
    shutil.move(partial, few.folder.with_name(few.folder.name + ".partial"))
    few.prepare(workers=0)
    assert set(few.manifest["files"]) | {"manifest.json", "verified.json"} == {
        path.name for path in few.folder.iterdir()
    }


def test_every_damage_is_found(copied):
    assert "whole" in check(copied.root)
    for name in ("images.npy", "depth.npy", "instances.npy", "annotations.jsonl"):
        path = copied.folder / name
        good = path.read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        path.write_bytes(bad)
        with pytest.raises(DataError, match=f"{name} is damaged"):
            small(copied.root).image(0)
        path.write_bytes(good[:-1])
        with pytest.raises(DataError, match=f"{name} is damaged"):
            check(copied.root)
        path.unlink()
        with pytest.raises(DataError, match=f"{name} is missing"):
            small(copied.root).prepare()
        path.write_bytes(good)
    assert small(copied.root).image(0).shape == (*SIZE, 3)


def test_damage_behind_the_same_time_and_size_is_found_by_check(copied):
    path = copied.folder / "images.npy"
    stat = path.stat()
    bad = bytearray(path.read_bytes())
    bad[-1] ^= 1
    path.write_bytes(bad)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(DataError, match="damaged"):
        check(copied.root)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {}}'])
def test_a_broken_manifest_is_refused(copied, text):
    (copied.folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="manifest"):
        _ = copied.manifest


def test_a_changed_manifest_is_refused(copied):
    path = copied.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 7}))
    with pytest.raises(DataError, match="changed after"):
        _ = copied.manifest


def test_a_folder_under_another_name_is_refused(copied):
    other = small(copied.root, 21)
    shutil.copytree(copied.folder, other.folder)
    with pytest.raises(DataError, match="another data set"):
        _ = other.manifest


def test_a_root_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="HARNESS_CACHE"):
        small(tmp_path / "file").prepare()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("testing", 5), "unknown split 'testing'"),
        (("test", 5, "scenes"), "unknown kind 'scenes'"),
        (("test", 0), "count must be"),
        (("test", 5, "scene", (8, 128)), "size must be"),
        (("test", 5, "scene", (64, 64), -1), "seed must be"),
        (("pretraining", 5, "novel-2"), "no novel class"),
    ],
)
def test_what_does_not_exist_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        Microworld(*arguments)


def test_prepare_all_tells_its_progress_and_fills_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    told = []
    prepare_all("smoke", lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (306, 306)
    assert check().count("whole") == 15
    with pytest.raises(DataError, match="paper"):
        prepare_all("paper")


@pytest.mark.parametrize("scale", list(COUNTS))
def test_prepare_all_leaves_nothing_to_render_to_the_runs(tmp_path, monkeypatch, scale):
    """Of every task that reads the world, by the recipe that it comes with."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    prepared, read = set(), set()

    def note(folders):
        return lambda world, *_: folders.add(world.folder)

    monkeypatch.setattr(Microworld, "prepare", note(prepared))
    prepare_all(scale)
    monkeypatch.setattr(Microworld, "prepare", note(read))
    # Other tests add tasks of their own.
    for name in [name for name, place in plugins.TASKS.items() if place.startswith("tasks.")]:
        task = plugins.task(name)
        recipe = load_resolved(name, yaml.safe_load((task.recipes / f"{scale}.yaml").read_text()))
        task.prepare(recipe)
    assert read == prepared


def test_the_preview_is_a_picture_of_everything(tmp_path):
    from PIL import Image

    preview(tmp_path / "new" / "sheet.png", size=(20, 32))
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.width == 8 * (2 * 32 + 2)
        assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 1000
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]
    with pytest.raises(DataError, match="PNG"):
        preview(tmp_path / "sheet.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        preview(Path(tmp_path / "file" / "sheet.png"), size=(24, 32))
