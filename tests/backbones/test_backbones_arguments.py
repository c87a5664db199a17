"""Wrong arguments give one clear line, and numbers of numpy work."""

import numpy as np
import pytest

import backbones

WRONG = [
    ({"input_size": 3.5}, r"input_size: expected pixels or \(height, width\), got 3\.5"),
    ({"input_size": True}, "input_size: .*got True"),
    ({"input_size": (True, 48)}, "input_size: "),
    ({"input_size": "48"}, "input_size: "),
    ({"input_size": (48, 48, 48)}, "input_size: "),
    ({"drop_path": "x"}, "drop_path: expected a rate from 0 to below 1, got 'x'"),
    ({"drop_path": None}, "drop_path: .*got None"),
    ({"drop_path": True}, "drop_path: "),
    ({"drop_path": 1}, "drop_path: "),
    ({"drop_path": -0.1}, "drop_path: "),
    ({"drop_path": float("nan")}, "drop_path: "),
    ({"drop_last": 1.5}, r"drop_last: expected a whole number from 0, got 1\.5"),
    ({"drop_last": "1"}, "drop_last: .*got '1'"),
    ({"drop_last": -1}, "drop_last: "),
    ({"keep": 5}, "keep: expected some of decoder, depth, head, got 5"),
    ({"keep": ([],)}, "keep: "),
    ({"arch": 5}, "arch: expected fields by name.*got 5"),
    ({"arch": {1: 2}}, "arch: "),
    ({"arch": {"format": []}}, r"unknown format \[\]; known"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_wrong_arguments(simmim_file, options, message, refused):
    refused(simmim_file, message, **options)


WRONG_FIELDS = [
    ("image_size", 3.5), ("image_size", None), ("image_size", True), ("image_size", [16]),
    ("embed_dim", 0), ("patch_size", 0), ("depth", 0), ("num_heads", "x"), ("mlp_hidden", True),
    ("num_classes", -1), ("num_classes", 10.0), ("qkv_bias", 1), ("pool", []), ("layer_scale", "x"),
    ("norm_eps", None), ("norm_eps", -1), ("norm_eps", 0), ("norm_eps", True),
    ("norm_eps", float("nan")), ("norm_eps", 10**400), ("mean", 5), ("mean", "123"),
    ("mean", [1, 2]), ("mean", [1, 2, True]), ("mean", [0, 0, float("nan")]), ("std", [1, 0, 1]),
    ("std", [1, -1, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS)
@pytest.mark.parametrize("kind", ["simmim", "mae"])
def test_wrong_fields_of_an_architecture(request, mae_heads, kind, field, value, refused):
    given = mae_heads if kind == "mae" else {}
    path = request.getfixturevalue(f"{kind}_file")
    refused(path, f"^{field}: expected .*, got ", arch={**given, field: value})


@pytest.mark.parametrize("field", ["reg_tokens", "class_token", "embed_class", "decoder_num_heads"])
def test_wrong_fields_of_a_plain_vit(mae_file, mae_heads, field, refused):
    refused(mae_file, f"^{field}: expected .*, got 'x'", arch={**mae_heads, field: "x"})


@pytest.mark.parametrize("field", ["embed_dim", "patch_size", "num_heads"])
@pytest.mark.parametrize("family", ["beit", "vit"])
def test_wrong_fields_of_a_new_encoder(family, field):
    arch = {"embed_dim": 24, "depth": 1, "num_heads": 1, "patch_size": 8, field: "x"}
    with pytest.raises(backbones.LoadError, match=f"{field}: expected a whole number"):
        backbones.create(family, arch, 32, 0)


def test_a_new_encoder_needs_a_size():
    with pytest.raises(backbones.LoadError, match=r"input_size: .*got None"):
        backbones.create("vit", {"embed_dim": 192, "depth": 1, "patch_size": 8}, None, 0)


def test_numbers_of_numpy(simmim_file):
    """They become Python's own, which a record can hold."""
    arch = {"norm_eps": np.float32(0.5), "num_heads": np.int32(3), "image_size": np.int64(48)}
    size, rate, removed = np.int64(64), np.float32(0.5), np.int64(1)
    backbone = backbones.load(simmim_file, size, rate, removed, arch)
    assert backbone.input_size == (64, 64)
    assert len(backbone.encoder.blocks) == 2
    shape = backbone.spec.arch
    assert (shape["norm_eps"], shape["num_heads"], shape["image_size"]) == (0.5, 3, (48, 48))
    assert {type(shape["norm_eps"]), type(shape["num_heads"])} == {float, int}
