"""Layer numbers and weight decay equal those of the reference optimisers, row by row."""

import json
from pathlib import Path

import pytest

import backbones
from backbones.layer_rules import vit_layer

RECIPES = Path(__file__).parents[1] / "fixtures" / "recipes" / "layer_ids"
DEPTH = 12
CASES = {
    "simmim_vit_base": ("simmim", 0.65, ""),
    "beit_base": ("simmim", 0.65, ""),
    "mae_vit_base": ("mae", 0.65, ""),
    "vitpose_base": ("vitpose", 0.75, "backbone."),
    "simmim_pretrain_vit_base": ("simmim_pretrain", 1.0, "encoder."),
}
OURS = {"decoder.0.weight": "decoder.conv.weight", "decoder.0.bias": "decoder.conv.bias"}


def ours(name, prefix):
    """The name that a parameter of the reference has in our encoders or a task's head."""
    if name in OURS:
        return OURS[name]
    bare = name.removeprefix(prefix)
    if bare == "mask_token":
        return "decoder.mask_token"
    if bare.startswith(("fc_norm.", "head.", "keypoint_head.", "decoder.")):
        return bare
    return "encoder." + bare.replace("last_norm", "norm")


def dimensions(name):
    """Weights of norms and tables of vectors have one dimension, the rest more."""
    leaf = name.rsplit(".", 1)[-1]
    vector = leaf in ("bias", "q_bias", "v_bias", "gamma_1", "gamma_2") or "norm" in name
    return 1 if vector or name.endswith(("deconv_layers.1.weight", "deconv_layers.4.weight")) else 2


@pytest.mark.parametrize("case", CASES)
def test_rows_of_the_reference(fixtures, case):
    rule, decay, prefix = CASES[case]
    rows = json.loads((fixtures / "layer_ids" / f"{case}.json").read_text())
    assert len(rows) > 100
    for name, (layer, scale, weight_decay) in rows.items():
        mapped = ours(name, prefix)
        number = vit_layer(mapped, DEPTH, rule)
        if layer is not None:
            assert number == layer, name
        assert decay ** (DEPTH + 1 - number) == pytest.approx(scale), name
        assert backbones.decays(mapped, dimensions(name), rule) == (weight_decay > 0), name


def test_the_fixtures_names_are_those_of_the_models(fixtures):
    """The rows above speak of parameters that our encoders have, all of them."""
    arch = {"embed_dim": 12, "depth": DEPTH, "num_heads": 1, "patch_size": 4}
    own = {"shared_table": False, "block_tables": True, "final_norm": False}
    models = {
        "simmim_vit_base": backbones.create("beit", arch | own, 8, 0),
        "beit_base": backbones.create("beit", arch | own, 8, 0),
        "mae_vit_base": backbones.create(
            "vit", arch | {"pool": "mean_fc_norm", "final_norm": False}, 8, 0
        ),
        "simmim_pretrain_vit_base": backbones.create("beit", arch, 8, 0, keep=("decoder",)),
    }
    for case, model in models.items():
        rule, _, prefix = CASES[case]
        rows = json.loads((fixtures / "layer_ids" / f"{case}.json").read_text())
        names = {ours(name, prefix) for name in rows} - {"head.weight", "head.bias"}
        parameters = dict(model.named_parameters())
        extra = {"fc_norm.weight", "fc_norm.bias"} if "pretrain" in case else set()
        assert names | extra == set(parameters)
        assert set(model.layer_ids(rule)) == set(parameters)
        decayed = {ours(name, prefix) for name, row in rows.items() if row[2] > 0}
        assert set(parameters) - model.no_decay_names(rule) == decayed - {"head.weight"}


def test_rows_of_vitdet():
    """The encoder's and those of neck and heads, which a task's model has beside it."""
    rows = json.loads((RECIPES / "vitdet_base.json").read_text())
    assert len(rows) == 245
    for name, (layer, scale, weight_decay) in rows.items():
        own = name.removeprefix("backbone.net.")
        mapped = name.removeprefix("backbone.") if own == name else f"encoder.{own}"
        number = vit_layer(mapped, DEPTH, "vitdet")
        assert (number, 0.7 ** (DEPTH + 1 - number)) == (layer, pytest.approx(scale)), name
        in_model = mapped if own == name else f"backbone.{mapped}"
        for ndim in (1, 2):
            assert backbones.decays(mapped, ndim, "vitdet") == (weight_decay > 0), name
            assert backbones.decays(in_model, ndim, "vitdet") == (weight_decay > 0), name


@pytest.mark.parametrize(
    ("name", "decayed"),
    [
        ("backbone.encoder.layers.0.blocks.1.norm1.weight", False),
        ("backbone.encoder.layers.1.downsample.norm.bias", False),
        ("backbone.encoder.patch_embed.norm.weight", False),
        ("backbone.encoder.layers.0.blocks.1.attn.relative_position_bias_table", False),
        ("encoder.pos_embed", False),
        ("neck.norms.0.bias", False),
        ("backbone.encoder.layers.0.blocks.1.attn.qkv.bias", True),
        ("backbone.encoder.layers.0.blocks.1.mlp.fc1.weight", True),
        ("backbone.encoder.patch_embed.proj.bias", True),
        ("rpn.rpn_cls.bias", True),
        ("roi.bbox_head.fc_cls.weight", True),
    ],
)
def test_swins_detection_goes_by_the_name(name, decayed):
    """The keywords of its configurations (paramwise_cfg: norm, absolute_pos_embed, tables)."""
    for ndim in (1, 2):
        assert backbones.decays(name, ndim, "swin_detection") is decayed


def test_numbers_of_a_model(tiny):
    backbone = tiny()
    ids = backbone.layer_ids()
    assert backbone.last_layer == 4
    assert ids["encoder.cls_token"] == ids["encoder.patch_embed.proj.bias"] == 0
    assert ids["encoder.blocks.2.gamma_1"] == 3
    assert ids["encoder.rel_pos_bias.relative_position_bias_table"] == 4
    assert ids["encoder.norm.weight"] == ids["fc_norm.bias"] == 4


def test_rules_are_checked(tiny):
    with pytest.raises(ValueError, match="expected a layer rule out of simmim, mae"):
        tiny().layer_ids("swim")
