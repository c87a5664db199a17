"""SigLIP's image towers, against one written out in plain torch, and against timm's network."""

import numpy as np
import pytest
import scipy.ndimage
import timm
import torch
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from torch import nn

import backbones
from backbones.families.positions import resize_absolute
from tests.backbones.towers import Tower, check, error, of_timm, of_transformers, under

HEADS = {"num_heads": 2}
CONTRAST = {"logit_scale": torch.tensor(4.6), "logit_bias": torch.tensor(-10.0)}
JOINED = "query, key and value joined"


@pytest.fixture(scope="module")
def tower():
    return Tower(clip=False, act="gelu_tanh", width=32).eval()


@pytest.fixture
def state(tower):
    return tower.state_dict()


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "tower.pth")
        return tmp_path / "tower.pth"

    return save


LAYOUTS = {
    "siglip": lambda s: under("visual.trunk.", of_timm(s)) | {"text.a": torch.ones(1)} | CONTRAST,
    "timm": of_timm,
    "transformers_clip": lambda s: (
        under("vision_model.", of_transformers(s)) | {"text_model.a": torch.ones(1)} | CONTRAST
    ),
    "transformers_clip, tower alone": of_transformers,
}


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param


def test_outputs(layout, tower, state, saved):
    content = LAYOUTS[layout](state)
    backbone = backbones.load(saved(content), arch=HEADS)
    report = backbone.key_report
    assert report.format == layout.partition(",")[0]
    check(backbone, tower)
    assert backbone.mean.flatten().tolist() == backbone.std.flatten().tolist() == [0.5] * 3
    assert backbone.spec.objective == "siglip" and not report.created
    groups = [report.used, *report.converted.values(), *report.dropped.values()]
    assert sorted(name for names in groups for name in names) == sorted(content)
    pooled = {"siglip": 4, "timm": 4}.get(layout, 0)
    layers = 0 if pooled else 3 * 2 * 2
    assert len(report.converted[JOINED]) == pooled + layers


def test_parameters_of_pooling_serve_pooled_alone(layout, state, saved):
    backbone = backbones.load(saved(LAYOUTS[layout](state)), arch=HEADS)
    pool = {n for n, _ in backbone.named_parameters() if n.startswith("encoder.attn_pool.")}
    assert len(pool) == 11
    images = torch.rand(1, 3, 32, 32)
    with torch.enable_grad():
        for output in ("encode", "pooled"):
            backbone.zero_grad()
            getattr(backbone, output)(images).square().sum().backward()
            unused = {n for n, p in backbone.named_parameters() if p.grad is None}
            assert (
                unused == backbone.unused_names(output) == (pool if output == "encode" else set())
            )
    ids = backbone.layer_ids()
    assert {ids[name] for name in pool} == {backbone.last_layer}


def test_broken_files_are_refused(layout, state, saved, refused):
    """Each kind of damage to another quarter of the tensors; the second block is as the first."""
    whole = LAYOUTS[layout](state)
    names = [n for n, v in whole.items() if v.ndim and ".1." not in n and not n.startswith("text")]
    for place, name in enumerate(names):
        value, rest = whole[name], {n: v for n, v in whole.items() if n != name}
        content = [
            rest,
            rest | {f"{name}_": value},
            whole | {name: value.new_ones(len(value) + 1, *value.shape[1:])},
            whole | {name: torch.full_like(value, torch.nan)},
        ][place % 4]
        refused(saved(content), ".", arch=HEADS)


def test_the_authors_rule_for_another_size(state, saved):
    """big_vision resizes by scipy.ndimage.zoom of order 1."""
    backbone = backbones.load(saved(of_timm(state)), arch=HEADS, input_size=(56, 24))
    table = state["positional_embedding"].numpy().reshape(4, 4, -1)
    zoomed = scipy.ndimage.zoom(table, (7 / 4, 3 / 4, 1), order=1).reshape(1, 21, -1)
    assert np.abs(backbone.encoder.pos_embed.numpy() - zoomed).max() < 1e-6
    table = torch.rand(1, 9, 5)
    assert torch.equal(resize_absolute(table, 0, (3, 3), (3, 3), "bilinear_corners"), table)


@pytest.mark.parametrize("act", ["gelu", "gelu_tanh"])
def test_timms_own_network(act, saved):
    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
    network = timm.create_model("vit_base_patch16_siglip_224", act_layer=act, **sizes).eval()
    for parameter in network.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    backbone = backbones.load(saved(network.state_dict()), arch=HEADS | {"act": act})
    images = torch.rand(2, 3, 32, 32)
    normed = (images - backbone.mean) / backbone.std
    assert error(backbone.pooled(images), network(normed)) < 1e-5
    features = network.forward_features(normed)
    assert error(backbone.encode(images), backbone.as_map(features)) < 1e-5


def test_towers_that_are_no_vit_are_refused(saved, refused):
    """LAION's ConvNeXts and EVA-02's CLIPs lie under the same prefix."""
    convnext = ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 8, 8, 8), num_classes=0)
    packed = {"swiglu_mlp": True, "scale_mlp": True, "qkv_fused": False}
    eva = Eva(
        img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=0, **packed
    )
    for network, family in ((convnext, "convnext"), (eva, "eva")):
        content = under("visual.trunk.", network.state_dict()) | CONTRAST
        refused(saved(content), f"under visual.trunk. is a {family}, expected a plain ViT")


def test_without_pooling_it_is_the_mean(tower, state, saved):
    """Encoders of transformers whose configuration has vision_use_head=False."""
    content = {n: v for n, v in of_transformers(state).items() if not n.startswith("head.")}
    backbone = backbones.load(saved(content), arch=HEADS)
    images = torch.rand(2, 3, 32, 32)
    final = tower((images - 0.5) / 0.5)[1]
    assert error(backbone.pooled(images), final.mean(dim=1)) < 1e-5


def test_saved_and_loaded_again(state, saved, tmp_path):
    backbone = backbones.load(saved(of_timm(state)), arch=HEADS)
    backbones.save(backbone, tmp_path / "ours.safetensors", {}, dtype=torch.float32)
    again = backbones.load(tmp_path / "ours.safetensors")
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(again.pooled(images), backbone.pooled(images))
    assert again.spec.arch["act"] == "gelu_tanh"


def test_initialised_as_published(tiny):
    """big_vision models/vit.py: Glorot's rule for every layer, of query, key and value each."""
    arch = {"embed_dim": 64, "num_heads": 1, "class_token": False, "pool": "attention"}
    backbone = tiny("vit", 64, arch=arch | {"init": "big_vision"})
    for layer in (backbone.encoder.blocks[0].attn.qkv, backbone.encoder.attn_pool.qkv):
        assert layer.weight.abs().max() == pytest.approx((6 / 128) ** 0.5, rel=0.01)
        assert not layer.bias.any()
    bias = backbone.encoder.blocks[1].mlp.fc1.bias
    assert 0 < bias.std() < 2e-6
    patches = backbone.encoder.patch_embed.proj.weight
    assert patches.std() == pytest.approx((3 * 64) ** -0.5, rel=0.03)
    assert backbone.encoder.pos_embed.std() == pytest.approx(64**-0.5, rel=0.05)
    latent = backbone.encoder.attn_pool.latent
    assert latent.abs().max() == pytest.approx((6 / 65) ** 0.5, rel=0.1)
    assert isinstance(backbone.encoder.blocks[0].mlp.act, nn.GELU)
