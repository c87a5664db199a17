"""Files of Hugging Face transformers: key names by a round trip, and, where the library is
installed, its networks' own outputs."""

import re

import pytest
import torch
from safetensors.torch import save_file

import backbones

ARCH = {"num_heads": 3}
JOINED = "query, key and value joined"
TO_THEIRS = [
    (r"^encoder\.(cls_token)$", r"embeddings.\1"),
    (r"^encoder\.pos_embed$", "embeddings.position_embeddings"),
    (r"^encoder\.patch_embed\.proj", "embeddings.patch_embeddings.projection"),
    (r"^encoder\.norm\.", "layernorm."),
    (r"^encoder\.rel_pos_bias\.", "encoder.relative_position_bias."),
    (r"^encoder\.blocks", "encoder.layer"),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.relative", ".attention.attention.relative_position_bias.relative"),
    (r"\.attn\.q_bias", ".attention.attention.query.bias"),
    (r"\.attn\.v_bias", ".attention.attention.value.bias"),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.gamma_", ".lambda_"),
    (r"^fc_norm\.", "pooler.layernorm."),
]
TO_DINOV2 = [
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(layer\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.ls([12])\.gamma", r".layer_scale\1.lambda1"),
]
KINDS = {
    "vit": ("vit", {}, []),
    "beit": ("beit", {}, []),
    "beit_blocks": ("beit", {"shared_table": False, "block_tables": True, "final_norm": False}, []),
    "dinov2": ("vit", {"layer_scale": 1.0}, TO_DINOV2),
}


def renamed(name, rules):
    for pattern, new in rules:
        name = re.sub(pattern, new, name)
    return name


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def ours(kind, tiny):
    family, arch, _ = KINDS[kind]
    return tiny(family, 48, noise=0.1, arch=arch)


@pytest.fixture
def theirs(kind, ours):
    return under_their_names(ours, KINDS[kind][2])


def under_their_names(ours, rules=()):
    """Our weights, the joined layers taken apart."""
    state = {}
    for name, value in ours.state_dict().items():
        if ".qkv." in name:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                inside = name.replace("attn.qkv", f"attention.attention.{part}")
                state[renamed(inside, TO_THEIRS)] = piece.clone()
        elif not (name.startswith("fc_norm.") and "layernorm.weight" in state):
            state[renamed(name, [*TO_THEIRS, *rules])] = value.clone()
    return state


def test_mae_is_told_from_a_plain_vit_by_its_fixed_table(tmp_path):
    """What ViTMAEModel is saved as: its table of sines and cosines is in no other of these."""
    arch = {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "norm_eps": 1e-12}
    arch |= {"init": "mae", "pool": "mean_fc_norm", "position_resize": "bicubic"}
    ours = backbones.create("vit", arch, 48, seed=0)
    state = under_their_names(ours)
    save_file(state, tmp_path / "mae.safetensors")
    loaded = backbones.load(tmp_path / "mae.safetensors", arch=ARCH)
    assert (loaded.spec.objective, loaded.spec.mean) == ("mae", (0.485, 0.456, 0.406))
    images = torch.rand(2, 3, 48, 48)
    assert torch.allclose(loaded.pooled(images), ours.pooled(images), rtol=0, atol=1e-6)
    # A trained table is no fixed one.
    state["embeddings.position_embeddings"] += 0.01
    save_file(state, tmp_path / "vit.safetensors")
    other = backbones.load(tmp_path / "vit.safetensors", arch=ARCH)
    assert (other.spec.objective, other.spec.mean) == ("unknown", (0.5, 0.5, 0.5))


@pytest.mark.parametrize("prefixed", [True, False])
def test_round_trip(kind, prefixed, ours, theirs, tmp_path):
    prefix = f"{kind.split('_')[0]}." if prefixed else ""
    more = {"classifier.weight": torch.ones(5, 24), "classifier.bias": torch.ones(5)}
    more = more if prefixed else {"pooler.dense.weight": torch.ones(24, 24)}
    state = {prefix + name: value for name, value in theirs.items()} | more
    save_file(state, tmp_path / "model.safetensors")
    backbone = backbones.load(tmp_path / "model.safetensors", arch=ARCH)
    expected = ours.state_dict()
    assert backbone.key_report.format == "transformers"
    for name, value in backbone.encoder.state_dict().items():
        assert torch.equal(value, expected[f"encoder.{name}"]), name
    report = backbone.key_report
    biases = 0 if kind.startswith("beit") else 3 * 3
    assert len(report.converted[JOINED]) == 3 * 3 + biases
    groups = [report.used, *report.converted.values(), *report.dropped.values()]
    assert sorted(name for names in groups for name in names) == sorted(state)
    assert f"{len(report.converted[JOINED])} converted ({JOINED})" in report.line()


def test_the_joined_are_dropped_with_their_block(kind, theirs, tmp_path):
    save_file(theirs, tmp_path / "model.safetensors")
    report = backbones.load(tmp_path / "model.safetensors", arch=ARCH, drop_last=1).key_report
    query = "encoder.layer.2.attention.attention.query.weight"
    assert query in report.dropped["drop_last=1"]
    assert not any(".layer.2." in name for name in report.converted[JOINED])


def test_a_network_of_lightnings_around_it(kind, ours, theirs, tmp_path):
    for prefix, more in (("model.vit.", "model.head.w"), ("dinov2.", "head.w")):
        state = {prefix + name: value for name, value in theirs.items()}
        content = {"pytorch-lightning_version": "2.6.6", "state_dict": state}
        state[more] = torch.ones(2)
        torch.save(content, tmp_path / "last.ckpt")
        backbone = backbones.load(tmp_path / "last.ckpt", arch=ARCH)
        assert backbone.key_report.dropped[f"modules of Lightning's beside {prefix}*"] == (more,)
        images = torch.rand(1, 3, 48, 48)
        assert backbone.encode(images).shape == ours.encode(images).shape


def test_one_tensor_less_or_more_is_refused(kind, theirs, tmp_path, refused):
    for name in theirs:
        if ".layer.1." not in name:
            continue
        for state in (
            {n: v for n, v in theirs.items() if n != name},
            {n if n != name else f"{n}_": v for n, v in theirs.items()},
            {**theirs, name: torch.zeros(theirs[name].shape, dtype=torch.int64)},
            {**theirs, name: theirs[name][:1]},
        ):
            save_file({n: v.contiguous() for n, v in state.items()}, tmp_path / "m.safetensors")
            refused(tmp_path / "m.safetensors", "fit its architecture|the file", arch=ARCH)


def test_another_size_and_what_is_not_told(theirs, kind, tmp_path, refused):
    save_file(theirs, tmp_path / "model.safetensors")
    path = tmp_path / "model.safetensors"
    if kind == "vit":
        refused(path, "position_resize", arch=ARCH, input_size=64)
    rule = {"position_resize": "bicubic"} if kind == "vit" else {}
    backbone = backbones.load(path, arch=ARCH | rule, input_size=64)
    assert backbone.encode(torch.rand(1, 3, 64, 64)).shape == (1, 24, 8, 8)
    eps = 1e-6 if kind == "dinov2" else 1e-12
    assert backbone.spec.arch["norm_eps"] == eps
