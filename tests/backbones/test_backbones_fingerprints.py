"""A file is hashed once, and what is loaded of it is what was hashed."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace

import pytest

import backbones
from backbones import files, fingerprints

NAME = "simmim_vit_base"


@pytest.fixture
def entry(tmp_path, monkeypatch, simmim_file):
    """A named encoder whose file lies in the cache, its hashes published."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.delenv("HARNESS_WEIGHTS", raising=False)
    data = simmim_file.read_bytes()
    known = replace(
        backbones.catalogue()[NAME],
        sha256=hashlib.sha256(data).hexdigest(),
        md5_prefix=hashlib.md5(data).hexdigest()[:6],
    )
    monkeypatch.setattr("backbones.fetch.catalogue", lambda: {NAME: known})
    path = tmp_path / "checkpoints" / known.file
    path.parent.mkdir()
    shutil.copy(simmim_file, path)
    return path


@pytest.fixture
def hashed(monkeypatch):
    """Which files are read to be hashed, in their order."""
    read = []
    before = fingerprints.fingerprint

    def count(path, md5=False):
        read.append(path)
        return before(path, md5)

    for module in ("hashes", "files"):
        monkeypatch.setattr(f"backbones.{module}.fingerprint", count)
    return read


def test_a_named_encoder_s_file_is_hashed_once(entry, hashed):
    spec = backbones.load(NAME).spec
    assert spec.sha256 == hashlib.sha256(entry.read_bytes()).hexdigest()
    assert hashed == [entry]


def test_so_is_any_other(simmim_file, hashed):
    backbones.load(simmim_file)
    assert hashed == [simmim_file]


def test_a_file_that_is_checked_is_read_once(simmim_file, hashed, monkeypatch):
    """What is said of it and the encoder that it gives are of one reading."""
    opened = []
    before = files.read_torch
    monkeypatch.setattr(files, "read_torch", lambda *a: opened.append(a[0]) or before(*a))
    assert backbones.check(simmim_file).spec.sha256
    assert opened == hashed == [simmim_file]


def test_both_hashes_are_of_one_reading(simmim_file):
    data = simmim_file.read_bytes()
    found = fingerprints.fingerprint(simmim_file, md5=True)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.md5 == hashlib.md5(data).hexdigest()
    assert fingerprints.fingerprint(simmim_file).md5 == ""


def touched(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def longer(path):
    times = path.stat()
    with path.open("ab") as file:
        file.write(b" ")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replaced(path):
    other = path.with_name("other")
    shutil.copy2(path, other)
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


def removed(path):
    path.unlink()


CHANGES = [touched, longer, replaced, removed]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("when", ["_as_float32", "_unwrap"])
def test_a_file_that_changes_after_it_was_verified_is_refused(
    entry, monkeypatch, refused, change, when
):
    before = getattr(files, when)

    def and_change(content, path):
        change(path)
        return before(content, path)

    monkeypatch.setattr(files, when, and_change)
    refused(NAME, f"^{entry} changed while it was read; repeat the command when")


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_is_watched_until_its_tensors_are_copied(entry, monkeypatch, refused, change):
    """They may be views of the file."""
    from backbones import loading

    before = loading.assign

    def and_change(*arguments):
        change(entry)
        return before(*arguments)

    monkeypatch.setattr(loading, "assign", and_change)
    refused(NAME, f"^{entry} changed while it was read")


def test_a_file_that_grows_while_it_is_hashed_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "growing.pth"
    path.write_bytes(b"0123456789")

    class Meanwhile:
        def update(self, _):
            if path.stat().st_size == 10:
                longer(path)

        def hexdigest(self):
            return ""

    monkeypatch.setattr(hashlib, "sha256", Meanwhile)
    with pytest.raises(backbones.LoadError, match=f"^{path} changed while it was read"):
        fingerprints.fingerprint(path)
