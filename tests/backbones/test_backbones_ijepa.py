"""I-JEPA's files: three networks of which the target encoder is read, against timm's network."""

import pytest
import timm
import torch

import backbones
from backbones.families.positions import sine_cosine
from tests.backbones.test_backbones_transformers import TO_THEIRS, renamed
from tests.backbones.towers import error, under

ARCH = {"num_heads": 2}
PREDICTOR = {"predictor_embed.weight": torch.ones(16, 32), "mask_token": torch.ones(1, 1, 16)}


@pytest.fixture(scope="module")
def networks():
    """Target and context encoder: timm's ViT without class token, which has the same names."""
    built = []
    for seed in range(2):
        torch.manual_seed(seed)
        network = timm.create_model(
            "vit_huge_patch14_gap_224",
            img_size=32,
            patch_size=8,
            embed_dim=32,
            depth=2,
            num_heads=2,
            num_classes=0,
        ).eval()
        for parameter in network.requires_grad_(False).parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        network.pos_embed.copy_(sine_cosine(32, (4, 4), 0))
        built.append(network)
    return built


@pytest.fixture
def content(networks):
    states = {"target_encoder": networks[0], "encoder": networks[1]}
    found = {key: under("module.", network.state_dict()) for key, network in states.items()}
    return found | {"predictor": under("module.", PREDICTOR), "epoch": 3, "opt": {"state": {}}}


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "ijepa.pth.tar")
        return tmp_path / "ijepa.pth.tar"

    return save


def same(backbone, network):
    images = torch.rand(2, 3, 32, 32)
    normed = (images - backbone.mean) / backbone.std
    final, blocks = network.forward_intermediates(normed, output_fmt="NLC")
    for ours, reference in zip(backbone.blocks(images), blocks, strict=True):
        assert error(ours, reference) < 1e-5
    assert error(backbone.encode(images), backbone.as_map(final)) < 1e-5
    assert error(backbone.pooled(images), network(normed)) < 1e-5


def test_the_target_encoder_by_default(content, networks, saved):
    backbone = backbones.load(saved(content), arch=ARCH)
    report = backbone.key_report
    assert report.format == "ijepa" and report.beside == ("epoch", "opt")
    same(backbone, networks[0])
    assert "the target_encoder of target_encoder and encoder and predictor" in backbone.spec.notes
    assert len(report.dropped["encoder, not asked for"]) == len(networks[1].state_dict())
    assert set(report.dropped["predictor"]) == set(under("predictor.module.", PREDICTOR))


def test_the_context_encoder_by_name(content, networks, saved, refused):
    named = ARCH | {"format": "ijepa_context"}
    same(backbones.load(saved(content), arch=named), networks[1])
    del content["target_encoder"]
    refused(saved(content), "no known layout")
    same(backbones.load(saved(content), arch=named), networks[1])


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_encoder_alone(content, networks, saved, wrapped):
    state = content["target_encoder"]
    backbone = backbones.load(saved({"target_encoder": state} if wrapped else state), arch=ARCH)
    assert "sine-cosine" in backbone.key_report.reason
    same(backbone, networks[0])


def test_another_size_has_to_be_told_by_which_rule(content, saved, refused):
    refused(saved(content), "position_resize", arch=ARCH, input_size=48)
    rule = ARCH | {"position_resize": "bicubic_antialias"}
    assert backbones.load(saved(content), arch=rule, input_size=48).grid == (6, 6)


def test_broken_files_are_refused(content, saved, refused):
    target = content["target_encoder"]
    for place, (name, value) in enumerate(target.items()):
        rest = {n: v for n, v in target.items() if n != name}
        state = [
            rest,
            rest | {f"{name}_": value},
            target | {name: value.new_ones(len(value) + 1, *value.shape[1:])},
            target | {name: torch.full_like(value, torch.inf)},
        ][place % 4]
        refused(saved(content | {"target_encoder": state}), ".", arch=ARCH)


def test_files_of_transformers(networks, saved):
    theirs = {}
    for name, value in networks[0].state_dict().items():
        if ".qkv." in name:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                inside = name.replace("attn.qkv", f"attention.attention.{part}")
                theirs[renamed(f"encoder.{inside}", TO_THEIRS)] = piece.clone()
        else:
            theirs[renamed(f"encoder.{name}", TO_THEIRS)] = value
    for prefix, more in (("", {}), ("ijepa.", {"classifier.weight": torch.ones(3, 32)})):
        backbone = backbones.load(saved(under(prefix, theirs) | more), arch=ARCH)
        assert backbone.key_report.format == "transformers"
        assert backbone.spec.objective == "ijepa" and backbone.spec.arch["norm_eps"] == 1e-6
        same(backbone, networks[0])


def test_initialised_as_published(tiny):
    """src/helper.py: deviation 0.02 for all layers, no scaling by depth; the table is fixed."""
    arch = {"embed_dim": 64, "num_heads": 1, "class_token": False, "pool": "mean", "init": "ijepa"}
    encoder = tiny("vit", 64, arch=arch).encoder
    assert torch.equal(encoder.pos_embed, sine_cosine(64, (8, 8), 0))
    for layer in (encoder.patch_embed.proj, encoder.blocks[2].attn.proj, encoder.blocks[2].mlp.fc2):
        assert layer.weight.std() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()
