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
    "mim_depth_swinv2_large": ("swinv2", "mim_depth", 0.85),
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


def read(name):
    """The reference's rows."""
    folders = FIXTURES / "layer_ids", FIXTURES.parent / "recipes" / "layer_ids"
    (file,) = (folder / f"{name}.json" for folder in folders if (folder / f"{name}.json").exists())
    return json.loads(file.read_text())


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A rule, its decay, the reference's rows, and a narrow model as deep as the published one."""
    family, rule, decay = CASES[request.param]
    rows = read(request.param)
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


@pytest.mark.parametrize("case_name", [name for name in CASES if name.startswith("mim_depth")])
def test_the_depth_decoders_rows(case_name):
    """Its layer is the last; weights of its batch norms are vectors, which are not decayed."""
    rows = read(case_name)
    decoder = {name: row for name, row in rows.items() if not name.startswith("encoder.")}
    assert len(decoder) == 17
    norms = {f"decoder.deconv_layers.{i}.weight" for i in (1, 4, 7)}
    norms.add("decoder.conv_layers.1.weight")
    model = backbones.create("swinv2", {"embed_dim": 2, "depths": DEPTHS, "num_heads": 1}, 64, 0)
    for name, (layer, scale, weight_decay) in decoder.items():
        assert layer == model.last_layer_of("mim_depth") == 28 and scale == 1
        ndim = 1 if name in norms or name.endswith(".bias") else 4
        assert backbones.decays(name, ndim, "mim_depth") == (weight_decay > 0), name


def test_swins_detection_spares_norms_and_tables_alone():
    """As the keywords of its configurations say; biases decay."""
    arch = {"embed_dim": 2, "depths": DEPTHS, "num_heads": 1, "window_size": 2}
    model = backbones.create("swin", arch, 64, 0)
    words = ("norm", "relative_position_bias_table")
    names = set(dict(model.named_parameters()))
    spared = {name for name in names if any(word in name for word in words)}
    assert model.no_decay_names("swin_detection") == spared
    assert len(spared) == 24 * 5 + 3 * 2 + 4
