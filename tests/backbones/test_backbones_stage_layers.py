"""Layer numbers and decay of Swin equal those of the reference optimisers, row by row."""

import json
import re

import pytest

import backbones
from tests.backbones.stages import FIXTURES

DEPTHS = (2, 2, 18, 2)
CASES = {
    "simmim_swin_base": ("swin", "simmim", 0.8),
    "simmim_pretrain_swin_base": ("swin", "simmim_pretrain", 1.0),
    "simmim_swinv2_base": ("swinv2", "simmim", 0.75),
    "simmim_pretrain_swinv2_base": ("swinv2", "simmim_pretrain", 1.0),
    "mim_depth_swinv2_base": ("swinv2", "mim_depth", 0.9),
}
NOT_OURS = ("head.", "last_layer_depth.", "decoder.deconv_layers.", "decoder.conv_layers.")
DECODER = {
    "mask_token": "decoder.mask_token",
    "decoder.0.weight": "decoder.conv.weight",
    "decoder.0.bias": "decoder.conv.bias",
}


def ours(name):
    """The name that a parameter of the reference has in our encoders."""
    bare = name.removeprefix("encoder.")
    if bare in DECODER:
        return DECODER[bare]
    bare = re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) + 1}.downsample", bare)
    return "encoder." + bare.replace("rpe_mlp", "cpb_mlp")


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A rule, its decay, the reference's rows, and a narrow model as deep as the published one."""
    family, rule, decay = CASES[request.param]
    rows = json.loads((FIXTURES / "layer_ids" / f"{request.param}.json").read_text())
    rows = {ours(name): row for name, row in rows.items() if not name.startswith(NOT_OURS)}
    arch = {"embed_dim": 2, "depths": DEPTHS, "num_heads": 1, "window_size": 2}
    arch |= {"variant": "mim_depth"} if rule == "mim_depth" else {}
    keep = ("decoder",) if rule.endswith("pretrain") else ()
    return rule, decay, rows, backbones.create(family, arch, 64, 0, keep=keep)


def test_rows_of_the_reference(case):
    rule, decay, rows, model = case
    ids, last = model.layer_ids(rule), model.last_layer_of(rule)
    assert set(ids) == set(rows)
    for name, (layer, scale, _) in rows.items():
        assert layer is None or ids[name] == layer, name
        assert decay ** (last - ids[name]) == pytest.approx(scale), name


def test_decayed_parameters(case):
    rule, _, rows, model = case
    decayed = {name for name, row in rows.items() if row[2] > 0}
    assert set(rows) - model.no_decay_names(rule) == decayed


def test_without_a_rule_it_is_that_of_fine_tuning(case):
    _, _, _, model = case
    assert model.layer_ids() == model.layer_ids("simmim")
    assert model.last_layer == model.last_layer_of("simmim") == sum(DEPTHS) + 1
