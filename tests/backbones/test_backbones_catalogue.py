"""Names: what stands in the catalogue, and what becomes of those that do not."""

import errno
import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import backbones
from backbones import fetch
from backbones.families import FAMILIES, family
from backbones.formats import FORMATS
from backbones.hashes import remember, verify


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.delenv("HARNESS_OFFLINE", raising=False)
    monkeypatch.delenv("HARNESS_WEIGHTS", raising=False)
    return tmp_path


@pytest.fixture
def entry():
    return backbones.catalogue()["mae_vit_base"]


def checkpoint_bytes():
    buffer = io.BytesIO()
    torch.save({"model": {"a": torch.zeros(1)}}, buffer)
    return buffer.getvalue()


def test_importing_and_listing_needs_no_torch():
    code = (
        "import sys, backbones; backbones.catalogue(); backbones.resolve('simmim', 'tiny');"
        "sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_exported_name_exists():
    assert all(getattr(backbones, name) is not None for name in backbones.__all__)
    assert sorted(backbones.__all__, key=str.lower)


def test_entries_are_served():
    for name, entry in backbones.catalogue().items():
        assert entry.format in FORMATS, name
        assert entry.source == "shipped" or entry.source.startswith(
            ("https://", "drive:", "page:https://")
        )
        assert entry.licence and entry.data and entry.about
    for scales in backbones.objectives().values():
        assert set(scales.values()) <= set(backbones.catalogue())
    assert all(family(name).name == name for name in FAMILIES)


def test_objectives_by_scale():
    assert backbones.resolve("simmim", "smoke") == "simmim_vit_micro"
    assert backbones.resolve("simmim", "tiny") == "simmim_vit_micro"
    assert backbones.resolve("simmim", "paper") == "simmim_vit_base"
    assert backbones.resolve("mae_vit_large", "tiny") == "mae_vit_large"
    assert backbones.resolve("some/file.pth", "tiny") == "some/file.pth"
    for objective in ("mae", "supervised", "contrastive"):
        for scale in ("smoke", "tiny"):
            assert backbones.resolve(objective, scale) == f"{objective}_vit_micro"
    with pytest.raises(backbones.LoadError, match="no encoder stands for 'mae' at scale 'huge'"):
        backbones.resolve("mae", "huge")


def test_unknown_names_give_the_nearest():
    with pytest.raises(backbones.LoadError, match="did you mean simmim"):
        backbones.resolve("simim", "tiny")
    with pytest.raises(backbones.LoadError, match="did you mean mae_vit_base"):
        backbones.load("mae_vit_bse")
    with pytest.raises(backbones.LoadError, match="depends on the scale"):
        backbones.load("simmim")


def test_published_files_that_have_to_be_fetched_by_hand(cache):
    with pytest.raises(backbones.LoadError, match=r"by hand: https://drive.*put it at .*\.pth"):
        backbones.load("simmim_vit_base")


def test_a_file_put_there_by_hand_is_loaded_as_what_it_is(cache, simmim_file):
    folder = cache / "checkpoints"
    folder.mkdir()
    target = folder / backbones.catalogue()["simmim_vit_base"].file
    target.write_bytes(simmim_file.read_bytes())
    backbone = backbones.load("simmim_vit_base")
    assert (backbone.spec.name, backbone.spec.licence) == ("simmim_vit_base", "MIT")
    target.write_bytes(simmim_file.read_bytes() + b" ")
    with pytest.raises(backbones.LoadError, match="SHA-256"):
        backbones.load("simmim_vit_base")


@pytest.fixture
def present(cache, entry):
    """A cached file of an entry that has no published hash, and the entry."""
    path = cache / "checkpoints" / entry.file
    path.parent.mkdir()
    path.write_bytes(checkpoint_bytes())
    return path, replace(entry, md5_prefix="", sha256="")


@pytest.mark.parametrize(("change", "message"), [
    ({"size": 7}, r"has \d+ bytes, not 7; expected the published mae_vit_base"),
    ({"sha256": "0" * 64}, r"has SHA-256 [0-9a-f]{12}, not 000000000000; expected the published"),
    ({"sha256_prefix": "00000000"}, r"has SHA-256 [0-9a-f]{8,12}, not 00000000; expected"),
])  # fmt: skip
def test_a_file_that_is_not_the_published_one_is_refused(present, change, message):
    path, known = present
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    assert fetch.get(replace(known, size=size, sha256=right, sha256_prefix=right[:8])) == path
    with pytest.raises(backbones.LoadError, match=message):
        fetch.get(replace(known, **change))


@pytest.mark.parametrize("refusing", ["write_text", "replace", "unlink"])
def test_weights_are_taken_from_a_cache_that_cannot_be_written_to(monkeypatch, present, refusing):
    path, known = present

    def refuse(*_args, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, refusing, refuse)
    assert fetch.get(known) == path
    monkeypatch.undo()
    if refusing != "unlink":
        assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_runs_that_start_together_do_not_share_a_file(monkeypatch, present):
    """A run that is in the middle of writing loses nothing to another that does the same."""
    path, known = present
    replace_file, own = Path.replace, os.getpid()
    recorded = path.with_name(path.name + ".sha256")
    names = []

    def other_run_first(part, target):
        names.append(part.name)
        if len(names) == 1:
            monkeypatch.setattr(os, "getpid", lambda: own + 1)
            remember(verify(path, known, recorded), known, recorded)
        return replace_file(part, target)

    monkeypatch.setattr(Path, "replace", other_run_first)
    remember(verify(path, known, recorded), known, recorded)
    assert len(set(names)) == 2
    assert recorded.read_text().strip() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(path.parent.iterdir()) == sorted([path, recorded])


@pytest.mark.parametrize("md5_prefix", ["", "abcdef"])
def test_a_file_that_cannot_be_opened_is_named(monkeypatch, present, md5_prefix):
    path, known = present

    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(backbones.LoadError) as caught:
        fetch.get(replace(known, md5_prefix=md5_prefix))
    assert str(caught.value).startswith(f"{path} cannot be read: Permission denied; mend")


def test_a_recorded_hash_that_cannot_be_read_is_named(present):
    path, known = present
    recorded = path.with_name(path.name + ".sha256")
    recorded.write_bytes(b"\xff\xfe")
    with pytest.raises(backbones.LoadError, match="has SHA-256"):
        fetch.get(known)


def test_a_missing_shipped_encoder_is_a_clear_line(monkeypatch, tmp_path):
    monkeypatch.setattr("backbones.entries.SHIPPED", tmp_path)
    with pytest.raises(backbones.LoadError, match="is not in this installation"):
        backbones.load("simmim_vit_micro")


def test_families_and_formats_from_entry_points(monkeypatch, simmim_file):
    """An installed package adds a family or a layout by name, after the tables."""

    class Point:
        def __init__(self, name, target):
            self.name, self.load, self.dist = name, lambda: target, None

    from backbones.families.beit import BeitFamily
    from backbones.formats.simmim import SimmimFormat

    points = {
        "harness.backbones": [Point("mine", BeitFamily)],
        "harness.formats": [Point("own", SimmimFormat)],
    }

    def found(group):
        return points[group]

    monkeypatch.setattr("backbones.offers.entry_points", found)
    arch = {"embed_dim": 24, "depth": 1, "num_heads": 1, "patch_size": 8}
    assert backbones.create("mine", arch, 16, 0).feature_info == ((24, 8),)
    assert backbones.load(simmim_file, arch={"format": "own"}).key_report.format == "simmim"
    assert backbones.load(simmim_file, arch={"format": "own"}).key_report.reason == "as named"
    with pytest.raises(backbones.LoadError, match=r"unknown format 'his'; known: .*own"):
        backbones.load(simmim_file, arch={"format": "his"})
