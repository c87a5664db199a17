"""Files of mmpretrain's ViT: key names, by a round trip; mmcv's layers where they are its."""

import re

import pytest
import torch

import backbones
from tasks import openmmlab

ARCH = {"num_heads": 3}
TO_THEIRS = [
    (r"^encoder\.patch_embed\.proj\.", "encoder.patch_embed.projection."),
    (r"^encoder\.norm\.", "encoder.ln1."),
    (r"\.blocks\.", ".layers."),
    (r"\.norm([12])\.", r".ln\1."),
    (r"\.ls1\.gamma", ".attn.gamma1.weight"),
    (r"\.ls2\.gamma", ".ffn.gamma2.weight"),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
    (r"\.mlp\.fc2\.", ".ffn.layers.1."),
    (r"^encoder\.", ""),
]
HEAD = {"layers.head.weight": torch.ones(5, 24), "layers.head.bias": torch.ones(5)}


def renamed(name):
    for pattern, new in TO_THEIRS:
        name = re.sub(pattern, new, name)
    return name


@pytest.fixture(params=[{}, {"layer_scale": 1.0}, {"final_norm": False, "pool": "mean_fc_norm"}])
def ours(request, tiny):
    return tiny("vit", 48, noise=0.1, arch=request.param)


@pytest.fixture
def state(ours):
    state = {n: v.clone() for n, v in ours.state_dict().items()}
    return {renamed(name).replace("fc_norm", "ln2"): value for name, value in state.items()}


def saved(path, state, prefix="backbone.", **heads):
    tensors = {prefix + name: value for name, value in state.items()}
    for part, names in heads.items():
        tensors |= {f"{part}.{name}": value for name, value in names.items()}
    torch.save({"meta": {"epoch": 3}, "state_dict": tensors}, path)
    return path


def test_round_trip(ours, state, tmp_path):
    images = torch.rand(1, 3, 48, 48)
    for prefix in ("backbone.", ""):
        path = saved(
            tmp_path / "vit.pth", state, prefix, head=HEAD, neck={"a.weight": torch.ones(2)}
        )
        backbone = backbones.load(path, arch=ARCH, keep=("head",))
        assert backbone.key_report.format == "openmmlab"
        assert torch.equal(backbone.encode(images), ours.encode(images))
        assert torch.equal(backbone.pooled(images), ours.pooled(images))
        assert torch.equal(backbone.head.weight, HEAD["layers.head.weight"])
        assert backbone.key_report.dropped == {"neck of OpenMMLab": ("neck.a.weight",)}
        assert not backbone.key_report.created


def test_heads_of_more_than_one_layer_are_dropped(state, tmp_path, refused):
    head = HEAD | {"layers.pre_logits.weight": torch.ones(24, 24)}
    path = saved(tmp_path / "vit.pth", state, head=head)
    report = backbones.load(path, arch=ARCH).key_report
    assert len(report.dropped["head of OpenMMLab"]) == 3
    refused(path, "no head to keep", arch=ARCH, keep=("head",))


def test_the_rule_for_other_sizes(state, tmp_path):
    path = saved(tmp_path / "vit.pth", state)
    report = backbones.load(path, arch=ARCH, input_size=64).key_report
    assert report.converted == {"position table 6x6 to 8x8, bicubic": ("backbone.pos_embed",)}


def test_one_tensor_less_or_renamed_is_refused(state, tmp_path, refused):
    for name in state:
        if "layers.1." in name or "layers.2." in name:
            continue
        rest = {n: value for n, value in state.items() if n != name}
        for mutant in (rest, rest | {f"{name}_": state[name]}):
            told = r"m\.pth|the file has no|37 places, which is no square"
            refused(saved(tmp_path / "m.pth", mutant), told, arch=ARCH)


def test_without_a_class_token(tiny, tmp_path):
    """A classifier tells mmpretrain's networks from mmpose's, whose patches begin further out."""
    ours = tiny("vit", 48, noise=0.1, arch={"class_token": False, "pool": "mean"})
    state = {renamed(name): value for name, value in ours.state_dict().items()}
    backbone = backbones.load(saved(tmp_path / "vit.pth", state, head=HEAD), arch=ARCH)
    images = torch.rand(1, 3, 48, 48)
    assert (backbone.key_report.format, backbone.padding) == ("openmmlab", 0)
    assert torch.equal(backbone.pooled(images), ours.pooled(images))
    alone = backbones.load(saved(tmp_path / "pose.pth", state), arch=ARCH)
    assert (alone.key_report.format, alone.padding) == ("mmpose", 2)


def test_two_norms_are_refused(state, tmp_path, refused):
    more = {f"ln{i}.{leaf}": torch.ones(24) for i in (1, 2) for leaf in ("weight", "bias")}
    refused(saved(tmp_path / "a.pth", state | more), r"ln1, ln2", arch=ARCH)


def test_gated_layers(tiny, tmp_path):
    ours = tiny("vit", 48, arch={"swiglu": True})
    names = {renamed(n): v for n, v in ours.state_dict().items()}
    gated = {
        n.replace("ffn.layers.0.0", "ffn.w12").replace("ffn.layers.1", "ffn.w3"): v
        for n, v in names.items()
    }
    backbone = backbones.load(saved(tmp_path / "g.pth", gated), arch=ARCH)
    images = torch.rand(1, 3, 48, 48)
    assert torch.equal(backbone.encode(images), ours.encode(images))


def test_mmcvs_own_layers(ours, state, tmp_path):
    """The parts of mmpretrain's network that mmcv has: names and outputs are the same."""
    parts = openmmlab.load("mmcv.cnn.bricks.transformer")
    scale = ours.spec.arch["layer_scale"] or 0.0
    mlp = parts.FFN(24, 96, act_cfg={"type": "GELU"}, layer_scale_init_value=scale).eval()
    embed = parts.PatchEmbed(3, 24, conv_type="Conv2d", kernel_size=8, stride=8)
    for prefix, module in (("layers.1.ffn.", mlp), ("patch_embed.", embed)):
        own = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
        module.load_state_dict(own)
    backbone = backbones.load(saved(tmp_path / "vit.pth", state), arch=ARCH)
    images, tokens = torch.rand(2, 3, 48, 48), torch.randn(2, 5, 24)
    block = backbone.encoder.blocks[1]
    assert torch.allclose(block.ls2(block.mlp(tokens)), mlp(tokens, identity=0.0), atol=1e-6)
    assert torch.allclose(
        backbone.patches(images), embed(backbone.normalised(images))[0], atol=1e-6
    )


def test_the_small_vit_has_eight_heads(tiny, tmp_path):
    arch = {"embed_dim": 768, "num_heads": 8, "mlp_hidden": 3 * 768, "depth": 1}
    state = {renamed(n): v for n, v in tiny("vit", 16, arch=arch).state_dict().items()}
    assert backbones.load(saved(tmp_path / "small.pth", state)).spec.arch["num_heads"] == 8
