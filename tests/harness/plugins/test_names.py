"""What cannot be imported or has a name of somebody else's: told, and harmless."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import backbones
from backbones.errors import RefusedOffer
from backbones.formats import formats
from tests.plugins import (
    ENCODERS,
    FORMATS,
    HOUSE,
    TASKS,
    both,
    offer,
    offer_more,
    refused,
    shown,
)

CHECKPOINTS = HOUSE / "tests/fixtures/checkpoints"
GONE = "import a_library_that_is_not_there\n"


def test_what_cannot_be_imported_is_listed_with_the_reason_and_harms_nothing_else(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for group, name in ((ENCODERS, "gone"), (TASKS, "lost"), (FORMATS, "missing")):
        offer(site, group, name, GONE)
    because = "cannot be imported (ModuleNotFoundError: No module named 'a_library_that_is"
    encoders = shown(capsys, "list", "backbones")
    assert f"`gone` of the package gone 1.0 {because}" in encoders and "mycnn 0.1.0" in encoders
    for what in ("tasks", "datasets", "recipes"):
        listed = shown(capsys, "list", what)
        assert f"`lost` of the package lost 1.0 {because}" in listed and "pose" in listed
    for backbone in ("simmim", "mycnn"):
        loaded = backbones.load(backbones.resolve(backbone, "smoke"), input_size=32)
        assert loaded(torch.zeros(1, 3, 32, 32))
    said = refused(capsys, "run", "--backbone", "gone", "--scale", "smoke")
    assert f"`gone` of the package gone 1.0 {because}" in said
    said = refused(capsys, "run", "--task", "lost", "--scale", "smoke")
    assert f"`lost` of the package lost 1.0 {because}" in said
    said = refused(capsys, "run", "--scale", "smoke", "--set", "backbone.format=missing")
    assert f"`missing` of the package missing 1.0 {because}" in said


@pytest.mark.parametrize(
    "code", ["raise SystemExit(3)", "raise OSError('a\\nb')", "broken = 1 +", "other = 1"]
)
def test_whatever_goes_wrong_in_importing_is_one_line(
    site: Path, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    offer(site, ENCODERS, "broken", code)
    said = refused(capsys, "run", "--backbone", "broken", "--scale", "smoke")
    assert "`broken` of the package broken 1.0 cannot be imported" in said
    assert "cannot be used: `broken`" in shown(capsys, "list", "backbones")


SQUATTER = """
from dataclasses import replace
import mycnn
from backbones.families.vit import VitFamily as vit
from backbones.formats.timm import TimmFormat as own_layout
def own(input_size=(32, 32)):
    backbone = mycnn.mycnn(input_size)
    backbone.spec = replace(backbone.spec, name="own")
    return backbone
"""
TAKEN = "of the package squatter 1.0 has a name that is taken and is not used; uninstall"


@pytest.mark.filterwarnings("always::backbones.errors.RefusedOffer")
def test_a_name_that_has_a_meaning_keeps_it(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    offer(site, ENCODERS, "simmim_vit_micro", SQUATTER, package="squatter")
    for name in ("simmim", "random", "own", "vit"):
        offer_more(site, "squatter", ENCODERS, name)
    listed = shown(capsys, "list", "backbones")
    for name in ("simmim_vit_micro", "simmim", "random", "vit"):
        assert f"cannot be used: `{name}` {TAKEN}" in listed
    assert "own  " in listed and "cannot be used: `own`" not in listed
    for words in (["backbone", "check"], ["backbone", "fetch"], ["show", "backbone"]):
        out, err = both(capsys, *words, "simmim_vit_micro")
        assert "simmim_vit_micro/encoder.safetensors" in out
        assert err.startswith(f"note: `simmim_vit_micro` {TAKEN}") and err.count("\n") == 1
        assert both(capsys, *words, "mae_vit_micro")[1] == ""
    assert "offered by the package squatter" in shown(capsys, "backbone", "check", "own")


def test_whoever_uses_such_a_name_is_told_and_gets_what_it_means(site: Path) -> None:
    offer(site, ENCODERS, "simmim_vit_micro", SQUATTER, package="squatter")
    offer_more(site, "squatter", ENCODERS, "simmim")
    offer_more(site, "squatter", ENCODERS, "random")
    with pytest.warns(RefusedOffer, match=f"^`simmim` {TAKEN}"):
        assert backbones.resolve("simmim", "tiny") == "simmim_vit_micro"
    with pytest.warns(RefusedOffer, match=f"^`simmim_vit_micro` {TAKEN}"):
        spec = backbones.load("simmim_vit_micro").spec
    assert spec.package is None
    assert spec.sha256 == backbones.catalogue()["simmim_vit_micro"].sha256
    with (
        pytest.warns(RefusedOffer, match=f"^`random` {TAKEN}"),
        pytest.raises(backbones.LoadError, match="unknown encoder 'random'"),
    ):
        backbones.load("random")


def test_a_layout_that_has_a_name_of_ours_replaces_none(site: Path) -> None:
    offer(site, FORMATS, "simmim", SQUATTER, package="squatter")
    offer_more(site, "squatter", FORMATS, "own_layout")
    with pytest.warns(RefusedOffer, match=f"^`simmim` {TAKEN}"):
        known = formats()
    assert type(known["simmim"]).__module__ == "backbones.formats.simmim"
    assert type(known["own_layout"]).__module__ == "backbones.formats.timm"
    checkpoint = CHECKPOINTS / "simmim_vit" / "checkpoint.pth"
    with pytest.warns(RefusedOffer, match=f"^`simmim` {TAKEN}"):
        loaded = backbones.load(checkpoint, arch={"format": "simmim"})
    assert loaded.key_report.format == "simmim"


def test_two_packages_with_one_name_are_both_named(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("first", "second"):
        offer(site, ENCODERS, "twice", "def twice(input_size): ...", package=package)
    said = refused(capsys, "run", "--backbone", "twice", "--scale", "smoke")
    assert "`twice` is offered by several packages (first 1.0, second 1.0)" in said


def test_a_family_is_no_encoder(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    offer(site, ENCODERS, "kind", "from backbones.families.vit import VitFamily as kind")
    said = refused(capsys, "run", "--backbone", "kind", "--scale", "smoke")
    assert "`kind` of the package kind 1.0 is a family of architectures" in said
    with pytest.raises(backbones.LoadError, match="unknown family 'mycnn'"):
        backbones.create("mycnn", {}, 32, 0)
