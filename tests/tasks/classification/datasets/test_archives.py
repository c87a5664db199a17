"""Official archives: checked first, unpacked beside, nothing outside of the root."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.classification.datasets.archives import packed, unpack
from tasks.classification.datasets.catalogue import PUBLICATIONS
from tasks.classification.datasets.contract import Archive
from tasks.classification.datasets.reading import read
from tasks.contract import DataError
from tests.tasks.classification.datasets.miniatures import make


def tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_what_is_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    make("dtd", tmp_path)
    before = tree(tmp_path)
    with tarfile.open(tmp_path / "dtd-r1.0.1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "dtd", "dtd")
    shutil.rmtree(tmp_path / "dtd")
    publication = PUBLICATIONS["dtd"]
    assert packed(publication, tmp_path) == publication.archives
    seen: list[tuple[int, int]] = []
    archive = Archive("dtd-r1.0.1.tar.gz", "dtd", md5(tmp_path / "dtd-r1.0.1.tar.gz"))
    said = unpack(archive, tmp_path, lambda done, total: seen.append((done, total)))
    assert "md5 as published" in said
    assert {n: c for n, c in tree(tmp_path).items() if n.startswith("dtd/")} == before
    assert packed(publication, tmp_path) == ()
    assert len(read("dtd", tmp_path, partial=True).train.images) == 6
    # Progress never goes back, and ends at its total.
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] == 2 * (tmp_path / "dtd-r1.0.1.tar.gz").stat().st_size
    assert not list(tmp_path.glob(".*"))


def test_a_wrong_md5_is_refused_with_both_sums_and_nothing_is_unpacked(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", {"a/1.jpg": b"1"})
    with pytest.raises(DataError) as caught:
        unpack(Archive("a.tar.gz", "a", "0" * 32), tmp_path)
    assert md5(path) in str(caught.value)
    assert "0" * 32 in str(caught.value)
    assert names(tmp_path) == ["a.tar.gz"]


def test_without_a_published_md5_it_is_said(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", {"a/1.jpg": b"1"}, "w")
    assert "no md5 is published" in unpack(Archive("a.tar", "a"), tmp_path)
    assert (tmp_path / "a/1.jpg").read_bytes() == b"1"


@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../out.txt", "/tmp/harness-out.txt", "C:/out"]
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_lead_out_are_refused(name: str, kind: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    if kind == "tar":
        tar(root / "a.tar", {"a/1.jpg": b"1", name: b"evil"}, "w")
    else:
        with zipfile.ZipFile(root / "a.zip", "w") as archive:
            archive.writestr("a/1.jpg", b"1")
            archive.writestr(name, b"evil")
    with pytest.raises(DataError, match="leads out of the folder"):
        unpack(Archive(f"a.{kind}", "a"), root)
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["root", f"root/a.{kind}"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("a/link")
        member.type, member.linkname = kind, "/etc"
        archive.addfile(member)
    with pytest.raises(DataError, match="no file and no folder"):
        unpack(Archive("a.tar", "a"), tmp_path)
    assert names(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_archives_cut_short_leave_nothing(name: str, tmp_path: Path) -> None:
    content = {f"a/{i}.jpg": os.urandom(5000) for i in range(9)}
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for member, found in content.items():
                archive.writestr(member, found)
        damaged = bytearray(path.read_bytes())
        damaged[20_000] ^= 1
        path.write_bytes(damaged)
    else:
        tar(path, content)
        path.write_bytes(path.read_bytes()[:-10_000])
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack(Archive(name, "a"), tmp_path)
    assert names(tmp_path) == [name]


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", {"b/1.jpg": b"1"}, "w")
    with pytest.raises(DataError, match="has no `a` in it"):
        unpack(Archive("a.tar", "a"), tmp_path)
    assert names(tmp_path) == ["a.tar"]


def test_two_archives_of_one_folder_and_a_file_in_the_way(tmp_path: Path) -> None:
    tar(tmp_path / "1.tar", {"VOC/lists/train.txt": b"t", "VOC/images/1.jpg": b"1"}, "w")
    tar(tmp_path / "2.tar", {"VOC/lists/test.txt": b"s", "VOC/images/2.jpg": b"2"}, "w")
    first, second = Archive("1.tar", "VOC/lists/train.txt"), Archive("2.tar", "VOC/lists/test.txt")
    unpack(first, tmp_path)
    (tmp_path / "VOC/images/2.jpg").write_bytes(b"other")
    with pytest.raises(DataError, match=r"2\.jpg` is in the way"):
        unpack(second, tmp_path)
    # What says that it is unpacked does not come before the rest.
    assert not (tmp_path / second.gives).exists()
    (tmp_path / "VOC/images/2.jpg").write_bytes(b"2")
    unpack(second, tmp_path)
    assert {n for n in tree(tmp_path) if n.startswith("VOC")} == {
        *("VOC/lists/train.txt", "VOC/images/1.jpg", "VOC/lists/test.txt", "VOC/images/2.jpg")
    }


def test_an_archive_in_an_archive(tmp_path: Path) -> None:
    make("caltech101", tmp_path)
    inner = tmp_path / "101_ObjectCategories.tar.gz"
    with tarfile.open(inner, "w:gz") as archive:
        archive.add(tmp_path / "101_ObjectCategories", "101_ObjectCategories")
    shutil.rmtree(tmp_path / "101_ObjectCategories")
    with zipfile.ZipFile(tmp_path / "caltech-101.zip", "w") as outer:
        outer.write(inner, "caltech-101/101_ObjectCategories.tar.gz")
        outer.writestr("__MACOSX/._x", b"x")
    inner.unlink()
    publication = PUBLICATIONS["caltech101"]
    first, second = publication.archives
    unpack(replace(first, md5=None), tmp_path)
    assert packed(publication, tmp_path) == (second,)
    unpack(second, tmp_path)
    assert packed(publication, tmp_path) == ()
    assert not (tmp_path / "__MACOSX").exists()
    assert len(read("caltech101", tmp_path, partial=True).train.images) == 60
