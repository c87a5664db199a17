"""Where a file is looked for, and what becomes of one that is not the published one."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import backbones
from backbones import fetch

NAME = "simmim_vit_base"


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """The user's own folder; nothing is ever asked of a server."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_WEIGHTS", str(folder))
    monkeypatch.delenv("HARNESS_OFFLINE", raising=False)
    monkeypatch.setattr("backbones.fetch.download", lambda *_: pytest.fail("a download"))
    return folder


@pytest.fixture
def data(simmim_file):
    return simmim_file.read_bytes()


@pytest.fixture
def entry(data):
    return replace(backbones.catalogue()[NAME], sha256=hashlib.sha256(data).hexdigest())


def cached(entry: backbones.Entry) -> Path:
    path = fetch.checkpoints() / entry.file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_by_its_published_name(own, simmim_file):
    path = own / backbones.catalogue()[NAME].file
    shutil.copy(simmim_file, path)
    located = fetch.locate(NAME)
    assert (located.name, located.path) == (NAME, path)
    assert located.entry == backbones.catalogue()[NAME]
    assert [p.name for p in own.iterdir()] == [path.name]  # nothing of ours beside it


def test_a_file_of_one_s_own_is_no_standard_for_others(own, data):
    """Whoever trained it gave it a name that a later download of that name must not fail for."""
    known = backbones.catalogue()[NAME]
    (own / known.file).write_bytes(data + b" ")
    for content in (data + b" ", data):
        (own / known.file).write_bytes(content)
        located = fetch.locate(NAME)
        assert located.fingerprint.sha256 == hashlib.sha256(content).hexdigest()
        assert located.notes == (
            f"the user's own file {known.file}: no hash of it is published to compare with",
        )
    assert not fetch.checkpoints().exists()
    spec = backbones.load(NAME).spec
    assert spec.notes[0] == located.notes[0] and spec.sha256 == located.fingerprint.sha256
    (own / known.file).unlink()
    cached(known).write_bytes(data)
    assert fetch.locate(NAME).notes == ()
    (own / known.file).write_bytes(data)
    assert fetch.locate(NAME).notes == ()  # the one that was fetched
    (own / known.file).write_bytes(data + b" ")
    with pytest.raises(backbones.LoadError, match=rf"^{own}.* has SHA-256 .*on its first use"):
        fetch.locate(NAME)


@pytest.mark.parametrize("place", ["renamed.pt", "below/it/weights.bin"])
def test_by_its_hash_under_any_name(own, entry, data, place):
    path = own / place
    path.parent.mkdir(parents=True, exist_ok=True)
    (own / "another.pth").write_bytes(data[:-1])
    (own / "notes.txt").write_bytes(data)
    path.write_bytes(data)
    assert fetch.get(entry) == path


def test_by_the_hash_that_was_recorded_on_first_use(own, entry, data):
    unpublished = replace(entry, sha256=None)
    cached(entry).write_bytes(data)
    assert fetch.get(unpublished) == cached(entry)
    cached(entry).rename(own / "mine.pth")
    assert fetch.get(unpublished) == own / "mine.pth"


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_by_the_beginning_of_its_hash_where_no_more_is_published(own, entry, data, kind):
    begins = hashlib.new(kind, data).hexdigest()[:6]
    partly = replace(entry, sha256=None, **{f"{kind}_prefix": begins})
    (own / "another.pth").write_bytes(data + b" ")
    with pytest.raises(backbones.LoadError, match="has to be downloaded by hand: https://drive"):
        fetch.get(partly)
    (own / "mine.pth").write_bytes(data)
    assert fetch.get(partly) == own / "mine.pth"
    assert not (fetch.checkpoints() / f"{entry.file}.sha256").exists()


def test_of_all_that_is_known_of_its_hash_everything_counts(own, entry, data):
    """A beginning that fits by chance is not enough where the whole of the fetched one is known."""
    partly = replace(entry, sha256=None, sha256_prefix=entry.sha256[:8])
    cached(entry).write_bytes(data)
    fetch.get(partly)
    cached(entry).unlink()
    record = fetch.checkpoints() / f"{entry.file}.sha256"
    (own / "mine.pth").write_bytes(data)
    assert fetch.get(partly) == own / "mine.pth"
    record.write_text(entry.sha256[:8] + "0" * 56)
    with pytest.raises(backbones.LoadError, match="has to be downloaded by hand"):
        fetch.get(partly)
    record.unlink()
    with pytest.raises(backbones.LoadError, match="has to be downloaded by hand"):
        fetch.get(replace(partly, size=len(data) + 1))


def test_without_any_hash_another_name_is_not_guessed_at(own, entry, data):
    (own / "mine.pth").write_bytes(data)
    with pytest.raises(backbones.LoadError, match="has to be downloaded by hand: https://drive"):
        fetch.get(replace(entry, sha256=None))


def test_a_file_of_that_name_with_another_hash_is_refused_whatever_else_there_is(own, entry, data):
    (own / entry.file).write_bytes(data + b" ")
    (own / "right.pth").write_bytes(data)
    cached(entry).write_bytes(data)
    with pytest.raises(backbones.LoadError) as caught:
        fetch.get(entry)
    assert str(caught.value).startswith(f"{own / entry.file} has SHA-256")
    assert "remove it, then fetch it again" in str(caught.value) and "\n" not in str(caught.value)


def test_the_own_folder_comes_before_the_cache_and_a_search_after_it(own, entry, data):
    (own / "right.pth").write_bytes(data)
    cached(entry).write_bytes(data)
    assert fetch.get(entry) == cached(entry)
    (own / entry.file).write_bytes(data)
    assert fetch.get(entry) == own / entry.file


def test_a_published_beginning_of_the_hash_counts(own, entry, data):
    path = own / entry.file
    path.write_bytes(data)
    partly = replace(entry, sha256=None, sha256_prefix=entry.sha256[:8])
    assert fetch.get(partly) == path
    with pytest.raises(backbones.LoadError, match="not 00000000; expected the published"):
        fetch.get(replace(partly, sha256_prefix="00000000"))


def test_a_page_saved_by_hand_is_told_and_not_recorded(own, entry, data):
    path, unpublished = own / entry.file, replace(entry, sha256=None)
    path.write_bytes(b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>")
    for known in (unpublished, entry):
        with pytest.raises(backbones.LoadError, match=rf"{path} is an HTML page"):
            fetch.get(known)
    path.write_bytes(data)
    assert fetch.get(unpublished) == path


def test_by_hand_says_from_where_and_to_where(own, entry):
    with pytest.raises(backbones.LoadError) as caught:
        fetch.get(entry)
    said = str(caught.value)
    assert entry.source.removeprefix("drive:") in said and str(cached(entry)) in said
    assert f"as {entry.file} into a folder given with --weights-dir" in said and "\n" not in said


def test_a_folder_that_is_none_is_refused(own, entry, monkeypatch):
    monkeypatch.setenv("HARNESS_WEIGHTS", str(own / "nowhere"))
    with pytest.raises(backbones.LoadError, match="nowhere is no folder; give one that exists"):
        fetch.get(entry)
    with pytest.raises(backbones.LoadError, match="nowhere is no folder"):
        fetch.locate("timm:vit_tiny_patch16_224.augreg_in21k")


def test_a_timm_name_is_looked_for_in_both(own):
    name = "timm:vit_tiny_patch16_224.augreg_in21k"
    with pytest.raises(backbones.LoadError, match=rf"not in {own} nor in .*checkpoints; put them"):
        fetch.locate(name)
    path = own / f"{name.removeprefix('timm:')}.safetensors"
    path.touch()
    assert fetch.locate(name).path == path
