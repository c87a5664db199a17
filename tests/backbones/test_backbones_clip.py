"""CLIP's image towers under the names of OpenAI, open_clip, timm and transformers, against a tower
that is written out in plain torch (towers.py)."""

import pytest
import timm
import torch

import backbones
from backbones.timm_names import locate_timm
from tests.backbones.towers import (
    BESIDE,
    SIZES,
    Tower,
    check,
    error,
    of_timm,
    of_transformers,
    under,
)

QUICK = {"act": "quick_gelu"}


@pytest.fixture(scope="module")
def tower():
    return Tower(clip=True, act="quick_gelu").eval()


@pytest.fixture
def state(tower):
    return tower.state_dict()


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "tower.pth")
        return tmp_path / "tower.pth"

    return save


PROJECTION = {"visual_projection.weight": torch.ones(3, 128)}
MORE = {"text_model.x": torch.ones(1), "vision_model.embeddings.position_ids": torch.arange(17)}
HEAD = {"visual.head.proj.weight": torch.ones(3, 128)}
LAYOUTS = {
    "clip": (lambda s: under("visual.", s) | BESIDE | SIZES, {}),
    "open_clip": (
        lambda s: {"state_dict": under("module.visual.", s) | under("module.", BESIDE)},
        QUICK,
    ),
    "open_clip, text apart": (lambda s: under("visual.", s) | under("text.", BESIDE), QUICK),
    "open_clip, tower alone": (lambda s: s, QUICK),
    "siglip": (
        lambda s: under("visual.trunk.", of_timm(s)) | HEAD | under("text.", BESIDE),
        QUICK | {"num_heads": 2},
    ),
    "timm": (of_timm, QUICK),
    "transformers_clip": (
        lambda s: under("vision_model.", of_transformers(s)) | PROJECTION | MORE,
        QUICK,
    ),
    "transformers_clip, tower alone": (of_transformers, QUICK),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_outputs(layout, tower, state, saved):
    content, arch = LAYOUTS[layout]
    backbone = backbones.load(saved(content(state)), arch=arch)
    report = backbone.key_report
    assert report.format == layout.partition(",")[0]
    check(backbone, tower)
    assert backbone.mean.flatten().tolist() == pytest.approx([0.48145466, 0.4578275, 0.40821073])
    assert backbone.spec.objective == "clip"
    assert backbone.spec.arch["norm_eps"] == 1e-5
    assert not report.created


def test_what_is_dropped_and_by_which_rule(state, saved):
    report = backbones.load(saved(under("visual.", state) | BESIDE | SIZES)).key_report
    assert set(report.dropped["text tower"]) == set(BESIDE) - {"logit_scale"}
    assert report.dropped["projection into the space shared with text"] == ("visual.proj",)
    assert set(report.dropped["sizes beside the weights"]) == set(SIZES)


UNTOLD = [name for name, (_, arch) in LAYOUTS.items() if arch == QUICK]


@pytest.mark.parametrize("layout", UNTOLD)
def test_the_activation_has_to_be_told(layout, state, saved, refused):
    """GELU and QuickGELU are published under the same names; here they differ by this much."""
    path = saved(LAYOUTS[layout][0](state))
    refused(path, r"tell act .*--set backbone\.act=gelu")
    images = torch.rand(1, 3, 32, 32)
    found = [
        backbones.load(path, arch={"act": act}).encode(images) for act in ("gelu", "quick_gelu")
    ]
    assert error(*found) > 1e-3
    refused(path, "act: expected gelu or gelu_tanh or quick_gelu", arch={"act": "relu"})


def test_another_size(tower, state, saved, refused):
    path = saved(under("visual.", state) | BESIDE)
    backbone = backbones.load(path, arch=QUICK, input_size=(48, 40))
    table = state["positional_embedding"]
    grid = table[1:].T.reshape(1, -1, 4, 4)
    resized = torch.nn.functional.interpolate(grid, (6, 5), mode="bicubic", antialias=True)
    assert torch.equal(backbone.encoder.pos_embed[0, :1], table[:1])
    assert error(backbone.encoder.pos_embed[0, 1:], resized.flatten(2)[0].T) < 1e-6
    refused(saved(under("visual.", state) | BESIDE | SIZES), "position_resize", input_size=48)
    chosen = {"position_resize": "bicubic_antialias"}
    assert (
        backbones.load(path, arch=QUICK | chosen, input_size=48)
        .encode(torch.rand(1, 3, 48, 48))
        .shape[-1]
        == 6
    )


def test_the_rest_of_the_contract(state, saved):
    path = saved(under("visual.", state) | BESIDE | SIZES)
    backbone = backbones.load(path)
    images = torch.rand(2, 3, 32, 32)
    for attention, block in zip(backbone.attention(images), backbone.encoder.blocks, strict=True):
        assert attention.probabilities.shape == (2, 2, 17, 17)
        assert torch.allclose(attention.probabilities.sum(-1), torch.ones(2, 2, 17), atol=1e-5)
        assert block.attn.num_heads == 2
    layers = backbone.layer_ids()
    assert layers["encoder.patch_embed.proj.weight"] == layers["encoder.cls_token"] == 0
    assert layers["encoder.norm_pre.weight"] == 0
    assert layers["encoder.blocks.1.attn.qkv.weight"] == 2
    assert layers["encoder.norm.weight"] == backbone.last_layer == 3
    shorter = backbones.load(path, drop_last=1)
    assert torch.equal(shorter.blocks(images)[0], backbone.blocks(images)[0])
    assert "visual.transformer.resblocks.1.ln_1.weight" in shorter.key_report.dropped["drop_last=1"]
    assert not backbone.unused_names("pooled")


def test_attention_times_values_is_the_blocks_own(state, saved):
    backbone = backbones.load(saved(under("visual.", state) | BESIDE | SIZES))
    images = torch.rand(1, 3, 32, 32)
    seen = []
    block = backbone.encoder.blocks[1]
    hook = block.attn.register_forward_hook(lambda _, x, y: seen.append((x[0], y)))
    maps = list(backbone.attention(images))
    hook.remove()
    inputs, output = seen[0]
    values = block.attn.qkv(inputs).chunk(3, dim=-1)[2].unflatten(-1, (2, -1)).transpose(1, 2)
    product = (maps[1].probabilities @ values).transpose(1, 2).flatten(2)
    assert error(block.attn.proj(product), output) < 1e-5


def test_broken_files_are_refused(state, saved, refused):
    whole = under("visual.", state) | BESIDE | SIZES
    inside = [n for n in whole if n.startswith("visual.") and ".0." not in n and n != "visual.proj"]
    for name in inside:
        value, rest = whole[name], {n: v for n, v in whole.items() if n != name}
        refused(saved(rest), ".")
        if name in inside[::3]:
            refused(saved(rest | {f"{name}_": value}), ".")
            refused(saved(whole | {name: value.new_ones(len(value) + 1, *value.shape[1:])}), ".")
            refused(saved(whole | {name: torch.full_like(value, torch.nan)}), "missing values")
    refused(saved(whole | {"visual.extra": torch.ones(1)}), r"not in the model: encoder\.extra")


@pytest.mark.parametrize(
    "name", ["vit_pe_core_tiny_patch16_384", "vit_pe_spatial_tiny_patch16_512"]
)
def test_perception_encoders_are_refused(name, saved, refused):
    """They have the names of a SigLIP or a CLIP, and rotary positions that no file tells."""
    network = timm.create_model(name, img_size=32, embed_dim=64, depth=2, num_heads=1)
    path = saved(network.state_dict())
    refused(path, "Perception Encoders", arch={"num_heads": 1, "act": "gelu"})


def test_other_towers_are_refused(state, saved, refused):
    resnet = {
        "visual.layer1.0.conv1.weight": torch.ones(1),
        "visual.attnpool.c_proj.weight": torch.ones(1),
    }
    refused(saved(resnet | BESIDE | SIZES), "ResNet")
    refused(saved(BESIDE), "no known layout .* has tensors like")
    coca = under("visual.", state) | {"visual.attn_pool.query": torch.ones(1, 128)}
    refused(saved(coca), "attention pooling, as CoCa's")
    clipa = {name: v for name, v in under("visual.", state).items() if "ln_pre" not in name}
    refused(saved(clipa), "no ln_pre")


def test_initialised_as_published(tiny):
    """clip/model.py: positions by width**-0.5, the rest as torch has it."""
    arch = {"embed_dim": 64, "num_heads": 1, "pre_norm": True, "init": "clip", "norm_eps": 1e-5}
    backbone = tiny("vit", 64, arch=arch)
    attention, mlp = backbone.encoder.blocks[0].attn, backbone.encoder.blocks[0].mlp
    assert backbone.encoder.pos_embed.std() == pytest.approx(64**-0.5, rel=0.05)
    assert attention.qkv.weight.abs().max() <= (6 / 256) ** 0.5
    assert attention.qkv.weight.abs().max() == pytest.approx((6 / 256) ** 0.5, rel=0.01)
    assert attention.proj.weight.abs().max() == pytest.approx(64**-0.5, rel=0.01)
    assert not attention.qkv.bias.any() and not attention.proj.bias.any()
    assert mlp.fc1.bias.abs().max() == pytest.approx(64**-0.5, rel=0.1)
    assert mlp.fc2.bias.abs().max() == pytest.approx(256**-0.5, rel=0.1)


@pytest.mark.parametrize(
    ("name", "act", "eps"),
    [
        ("vit_base_patch16_clip_224.laion2b", "gelu", 1e-5),
        ("vit_base_patch16_clip_quickgelu_224.openai", "quick_gelu", 1e-5),
        ("vit_base_patch16_siglip_224.webli", "gelu", 1e-6),
        ("vit_huge_patch14_gap_224.in1k_ijepa", "gelu", 1e-6),
    ],
)
def test_what_timms_names_tell(name, act, eps, tmp_path):
    (tmp_path / f"{name}.safetensors").touch()
    _, arch = locate_timm(f"timm:{name}", [tmp_path])
    assert (arch["act"], arch["norm_eps"]) == (act, eps)
