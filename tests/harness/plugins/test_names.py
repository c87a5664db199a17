"""What cannot be imported or has a name of somebody else's: told, and harmless."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import backbones
from tests.plugins import ENCODERS, FORMATS, TASKS, offer, refused, shown

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


@pytest.mark.parametrize("name", ["simmim_vit_base", "simmim", "random"])
def test_nobody_takes_a_name_that_has_a_meaning(
    site: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    offer(site, ENCODERS, name, f"def {name}(input_size): ...", package="squatter")
    taken = f"`{name}` of the package squatter 1.0 has a name that is taken"
    assert taken in shown(capsys, "list", "backbones")
    if name != "random":  # Which the command line knows by itself.
        assert taken in refused(capsys, "run", "--backbone", name, "--scale", "smoke")
    with pytest.raises(backbones.LoadError, match=r"squatter 1\.0 has a name that is taken"):
        backbones.load(name)


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
