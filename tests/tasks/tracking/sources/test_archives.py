"""Archives are read where they lie, and give what folders give."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.tracking.sequences import Frames, Source
from tests.tasks.tracking.sources import miniature
from tests.tasks.tracking.sources.miniature import box, opened, pack


def _same(packed: Source, plain: Source) -> None:
    assert packed.digest == plain.digest
    for one, other in zip(packed.sequences, plain.sequences, strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one.boxes, other.boxes)
        last = len(one) - 1
        np.testing.assert_array_equal(one.frames.read(last), other.frames.read(last))
        assert one.frames.name(last) == other.frames.name(last)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "got10k": miniature.write_got10k,
    "lasot": miniature.write_lasot,
    "trackingnet": miniature.write_trackingnet,
    "otb100": miniature.write_otb,
    "vot": miniature.write_vot,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("top", ["", "set/"])
def test_one_archive_of_the_whole_set(tmp_path: Path, name: str, top: str) -> None:
    plain = opened(name, WRITERS[name](tmp_path / "plain"))
    root = pack(tmp_path / "plain", tmp_path / "set.zip", top)
    _same(opened(name, root), plain)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("inside", [True, False])
def test_one_archive_a_sequence(tmp_path: Path, method: int, inside: bool) -> None:
    plain = opened("got10k", miniature.write_got10k(tmp_path / "plain"))
    packed = tmp_path / "packed" / "val"
    packed.mkdir(parents=True)
    shutil.copy(tmp_path / "plain/val/list.txt", packed)
    for one in plain.sequences:
        top = f"{one.name}/" if inside else ""
        pack(tmp_path / "plain/val" / one.name, packed / f"{one.name}.zip", top, method)
    _same(opened("got10k", packed.parent), plain)
    (packed / "list.txt").unlink()
    assert len(opened("folder", packed).sequences) == 3


def test_frames_alone_are_packed(tmp_path: Path) -> None:
    plain = opened("lasot", miniature.write_lasot(tmp_path / "plain"))
    packed = Path(shutil.copytree(tmp_path / "plain", tmp_path / "packed"))
    home = packed / "airplane" / "airplane-1"
    pack(home / "img", home / "img.zip", "img/")
    shutil.rmtree(home / "img")
    _same(opened("lasot", packed), plain)


def test_archives_of_many_sequences(tmp_path: Path) -> None:
    plain = opened("got10k", miniature.write_got10k(tmp_path / "plain"))
    packed = tmp_path / "packed" / "val"
    packed.mkdir(parents=True)
    shutil.copy(tmp_path / "plain/val/list.txt", packed)
    for part, numbers in {"01": (1, 2), "02": (3,)}.items():
        for number in numbers:
            name = f"GOT-10k_Val_{number:06d}"
            shutil.copytree(tmp_path / "plain/val" / name, tmp_path / part / name)
        pack(tmp_path / part, packed / f"GOT-10k_Val_split_{part}.zip")
    _same(opened("got10k", packed.parent), plain)


def _read(frames: Frames) -> int:
    return round(float(frames.read(2).mean()) / 2)


def test_workers_and_threads_read_what_was_opened_before(tmp_path: Path) -> None:
    miniature.write_sequence(tmp_path / "plain" / "one", 40)
    root = pack(tmp_path / "plain", tmp_path / "set.zip")
    frames = opened("folder", root).sequences[0].frames
    assert _read(pickle.loads(pickle.dumps(frames))) == 3
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(_read, [frames] * 8)) == [3] * 8
    with ThreadPoolExecutor(4) as pool:
        read = pool.map(lambda k: round(float(frames.read(k % 40).mean()) / 2), range(200))
        assert list(read) == [k % 40 + 1 for k in range(200)]


def test_members_that_lead_out_are_of_no_use(tmp_path: Path) -> None:
    miniature.write_sequence(tmp_path / "plain" / "one")
    root = pack(tmp_path / "plain", tmp_path / "set.zip")
    with zipfile.ZipFile(root, "a") as archive:
        archive.writestr("../outside.txt", "x")
        archive.writestr("/etc/outside.txt", "x")
    before = set(tmp_path.rglob("*"))
    assert opened("folder", root).sequences[0].boxes[0].tolist() == box(1)
    assert set(tmp_path.rglob("*")) == before


def test_damaged_archives(tmp_path: Path) -> None:
    miniature.write_sequence(tmp_path / "plain" / "one")
    root = pack(tmp_path / "plain", tmp_path / "set.zip")
    whole = root.read_bytes()
    frames = opened("folder", root).sequences[0].frames
    place = whole.index(miniature.jpeg(3)) + 300
    root.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    message = r"sequence `one`: cannot read `.*set.zip/one/00000003.jpg`: its checksum is wrong"
    with pytest.raises(DataError, match=message):
        frames.read(2)
    root.write_bytes(b"x" + whole)
    with pytest.raises(DataError, match=r"the archive was changed since it was opened"):
        frames.read(2)
    root.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot read the archive `.*set.zip`: File is not a zip"):
        opened("folder", root)
    root.write_bytes(whole)
    with zipfile.ZipFile(root, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("one/00000005.jpg", miniature.jpeg(5))
    with pytest.raises(DataError, match=r"`one/00000005.jpg` is packed by method 12, not stored"):
        opened("folder", root)


def test_encrypted_and_doubled_members(tmp_path: Path) -> None:
    miniature.write_sequence(tmp_path / "plain" / "one")
    root = pack(tmp_path / "plain", tmp_path / "set.zip")
    content = bytearray(root.read_bytes())
    directory = content.index(b"PK\x01\x02")
    struct.pack_into("<H", content, directory + 8, 1)
    root.write_bytes(content)
    with pytest.raises(DataError, match=r"its member `one/00000001.jpg` is encrypted"):
        opened("folder", root)
    root = pack(tmp_path / "plain", tmp_path / "set.zip")
    with zipfile.ZipFile(root, "a") as archive, pytest.warns(UserWarning, match=r"Duplicate"):
        archive.writestr("one/00000001.jpg", b"")
    with pytest.raises(DataError, match=r"it has two members `one/00000001.jpg`"):
        opened("folder", root)
