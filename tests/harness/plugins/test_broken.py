"""An encoder of another package that breaks the contract is refused with the point."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import backbones
from harness.testing import check_encoder
from tests.plugins import ENCODERS, offer, refused

HEAD = """
import os
import sys
from dataclasses import replace
import torch
from torch import nn
import mycnn
from backbones import FeatureInfo, LoadError
class Broken(mycnn.MyCnn):
    def __init__(self, input_size):
        super().__init__(input_size)
        self.spec = replace(self.spec, name="broken")
        self.initialise(0)
"""
TAIL = """
def broken(input_size=(32, 32)):
    return Broken(input_size)
"""
METHOD = "    def "
AFTER = "        "
BROKEN: dict[str, str] = {
    "def broken(input_size): return nn.Identity()": "it is a Backbone, got Identity",
    f"{AFTER}self.feature_info = [(16, 2)]": "feature_info is a tuple of FeatureInfo",
    f"{AFTER}self.feature_info = self.feature_info[1:]": "feature_info describes each map",
    f"{AFTER}self.feature_info = tuple(FeatureInfo(c, 16) for c in mycnn.WIDTHS)": (
        "a map is (1, 16, 8, 8), got (1, 16, 64, 64)"
    ),
    f"{METHOD}forward(self, images): return super().forward(images)[-1]": (
        "forward gives a tuple of maps"
    ),
    f"{METHOD}forward(self, images): return super().forward(images)[::-1]": (
        "a map is (1, 16, 64, 64), got (1, 64, 8, 8)"
    ),
    f"{METHOD}forward(self, images): return tuple(x / 0 for x in super().forward(images))": (
        "maps are finite"
    ),
    f"{METHOD}pooled(self, images): return self.encode(images).mean((1, 2, 3))": (
        "pooled gives (B,C), here (1, 64), got (1,)"
    ),
    f"{METHOD}encode(self, images): return self.pooled(images)\n"
    f"{METHOD}pooled(self, images): return self(images)[-1].mean((2, 3))": "encode gives (B,C,h,w)",
    f"{METHOD}blocks(self, images): return []": "blocks gives the tokens after every block",
    f"{METHOD}layer_ids(self, rule=None):\n"
    f"{AFTER}return {{n: 0 for n in super().layer_ids() if 'bias' not in n}}": (
        "layer_ids numbers every parameter, and nothing else; not so encoder.0.0.bias"
    ),
    f"{METHOD}layer_ids(self, rule=None):\n"
    f"{AFTER}return {{n: 9 for n in super().layer_ids()}}": "no layer is after last_layer",
    f"{AFTER}self.extra = nn.Identity(); self.extra.x = nn.Parameter(torch.zeros(1))": (
        "parameters are named encoder.*, fc_norm.*, decoder.*, head.*; not so extra.x"
    ),
    f"{AFTER}self.double()": "parameters are float32 and on the CPU",
    f"{AFTER}self.encoder[0][0].reset_parameters()": "the same weights each time it is loaded",
    f"{AFTER}nn.init.constant_(self.encoder[0][0].weight, os.urandom(1)[0] + os.getpid() % 7)\n"
    f"{AFTER}self.encoder[0][0].weight.data += int.from_bytes(os.urandom(3))": (
        "the same weights each time it is loaded"
    ),
    f"{METHOD}encode(self, images): return super().encode(images) + torch.rand(())": (
        "the same images give the same features"
    ),
    f"{METHOD}encode(self, images): return super().encode(images) + 0 * torch.rand(())": (
        "evaluation draws no random numbers"
    ),
    f"{METHOD}encode(self, images):\n"
    f"{AFTER}self.calls = getattr(self, 'calls', 0) + 1\n"
    f"{AFTER}return super().encode(images) + self.calls": "the same images give the same features",
    f"{AFTER}self.spec = replace(self.spec, name='simmim_vit_base')": (
        "spec.name is the name that it is offered under"
    ),
    f"{AFTER}self.spec = replace(self.spec, licence='')": "spec.licence says something",
    f"{AFTER}self.input_size = (32, 32)": "input_size is the one asked for, (128, 128)",
}
FAILING = {
    f"{METHOD}forward(self, images): return images.nothing": "AttributeError: 'Tensor' object has",
    "def broken(input_size): return mycnn.Backbone(None, input_size)": "abstract class Backbone",
    "def broken(input_size): sys.exit('no licence')": "SystemExit: no licence",
    "class Broken(mycnn.MyCnn):\n    def __init__(self, size): self.encoder = nn.Identity()\n": (
        "cannot assign module before Module.__init__()"
    ),
}


@pytest.mark.parametrize("change", BROKEN, ids=list(BROKEN.values()))
def test_an_encoder_that_breaks_the_contract_is_refused_with_the_point(
    site: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    offer(site, ENCODERS, "broken", _code(change))
    said = refused(capsys, "run", "--backbone", "broken", "--scale", "smoke")
    begin = "error: `broken` of the package broken 1.0 breaks the contract of encoders: "
    assert said.startswith(begin) and BROKEN[change] in said


@pytest.mark.parametrize("change", FAILING, ids=list(FAILING.values()))
def test_an_encoder_that_fails_is_refused_with_its_error(
    site: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    offer(site, ENCODERS, "broken", _code(change))
    said = refused(capsys, "run", "--backbone", "broken", "--scale", "smoke")
    assert said.startswith("error: `broken` of the package broken 1.0 fails when it is loaded (")
    assert FAILING[change] in said


def _code(change: str) -> str:
    return f"{HEAD}{change}\n" if "def broken" in change else f"{HEAD}{change}\n{TAIL}"


def test_the_unbroken_form_of_these_is_taken(site: Path) -> None:
    offer(site, ENCODERS, "broken", HEAD + TAIL)
    loaded = backbones.load("broken")
    assert loaded.spec.sha256 is None and not loaded.training
    check_encoder("broken")


def test_contract_tests_find_what_loading_does_not_look_for(site: Path) -> None:
    """Samples that depend on their batch, and an initialisation that leaves something."""
    leak = f"{METHOD}encode(self, images):\n{AFTER}x = super().encode(images)\n"
    offer(site, ENCODERS, "broken", _code(f"{leak}{AFTER}return x - x.mean(0) + x[0]"))
    with pytest.raises(AssertionError, match="features depend on it alone"):
        check_encoder("broken")
    del sys.modules["broken_module"]
    half = f"{METHOD}initialise(self, seed):\n{AFTER}first = self.encoder[0][0].weight.clone()\n"
    half += f"{AFTER}super().initialise(seed)\n{AFTER}self.encoder[0][0].weight.data = first\n"
    half += f"{AFTER}self.seal()\n{METHOD}_unused(self): pass"
    (site / "broken_module.py").write_text(
        _code(half).replace("        self.initialise(0)", "        mycnn.MyCnn.initialise(self, 0)")
    )
    importlib.invalidate_caches()
    with pytest.raises(AssertionError, match="initialise draws every parameter anew"):
        check_encoder("broken")
