"""DINOv3: files under its authors' names give its network, which is written out once more."""

import pytest
import torch
from timm.models.eva import Eva, checkpoint_filter_fn
from torch.nn import functional

import backbones
from tests.backbones.damage import refused_or_the_same
from tests.backbones.rotary_networks import dinov3

ARCH = {"rope": "dinov3", "embed_dim": 24, "depth": 2, "patch_size": 8, "num_heads": 3}
KINDS = {"plain": {}, "gated": {"mlp": "swiglu_apart", "mlp_hidden": 20}}
THEIRS = {
    "encoder.reg_token": "storage_tokens", "encoder.rope.": "rope_embed.", "encoder.": "",
    "decoder.": "", "gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma",
    "fc1_g": "w1", "fc1_x": "w2",
}  # fmt: skip


def published(backbone):
    """The state dict that facebookresearch/dinov3 would write of an encoder."""
    gated = backbone.spec.arch["mlp"] != "gelu"
    names = THEIRS | ({"mlp.fc2": "mlp.w3"} if gated else {})
    tensors = {}
    for name, value in backbone.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        tensors[name] = value
    # As published: rounded to bfloat16, so that no rule gives them.
    tensors["rope_embed.periods"] = tensors["rope_embed.periods"].bfloat16().float()
    return tensors


@pytest.fixture(params=KINDS)
def file(request, tmp_path):
    backbone = backbones.create("eva", ARCH | KINDS[request.param], 32, 0, keep=("decoder",))
    random = torch.Generator().manual_seed(1)
    for parameter in backbone.parameters():
        parameter += 0.2 * torch.randn(parameter.shape, generator=random)
    tensors = published(backbone)
    torch.save(tensors, tmp_path / "dinov3.pth")
    return tmp_path / "dinov3.pth", tensors


@pytest.mark.parametrize("side", [32, 48])
def test_features(file, side, close):
    """At the size of the images that it saw and at another: nothing is resized."""
    path, tensors = file
    backbone = backbones.load(path, input_size=side)
    assert backbone.key_report.format == "dinov3"
    assert backbone.spec.arch["num_heads"] == 3
    assert not backbone.key_report.converted
    assert not backbone.key_report.created
    images = torch.rand(2, 3, side, side)
    expected = dinov3(tensors, (images - backbone.mean) / backbone.std)
    for found, reference in zip(backbone.blocks(images), expected, strict=True):
        assert close(found.double(), reference)
    weight, bias = tensors["norm.weight"].double(), tensors["norm.bias"].double()
    normed = functional.layer_norm(expected[-1], (24,), weight, bias, 1e-5)
    assert close(backbone.pooled(images).double(), normed[:, 0])
    patches = backbone.encode(images).flatten(2).transpose(1, 2)
    assert close(patches.double(), normed[:, 5:])


def test_the_size_is_that_of_its_crops(file):
    backbone = backbones.load(file[0])
    assert backbone.input_size == (256, 256)
    assert any("image_size=256" in note for note in backbone.spec.notes)


def test_masked(file, close):
    path, tensors = file
    backbone = backbones.load(path, input_size=32, keep=("decoder",))
    images, mask = torch.rand(2, 3, 32, 32), torch.rand(2, 4, 4) > 0.5
    features, nothing = backbone.masked(images, mask)
    assert nothing.shape == (2, 0, 4, 4)
    # Patches whose embedding is the mask token are the same as hidden ones.
    changed = tensors | {"patch_embed.proj.weight": torch.zeros(24, 3, 8, 8),
                         "patch_embed.proj.bias": tensors["mask_token"][0]}  # fmt: skip
    torch.save(changed, path)
    blank = backbones.load(path, input_size=32)
    hidden = backbone.masked(images, torch.ones_like(mask)).features
    assert close(hidden, blank.encode(images))
    assert not close(hidden, features)


def test_what_is_saved_comes_back(file, tmp_path):
    backbone = backbones.load(file[0], input_size=40)
    backbones.save(backbone, tmp_path / "own.safetensors", {}, torch.float32)
    again = backbones.load(tmp_path / "own.safetensors")
    images = torch.rand(1, 3, 40, 40)
    assert torch.equal(again.encode(images), backbone.encode(images))


def test_the_norm_of_local_crops_is_dropped(file, tmp_path):
    _, tensors = file
    more = {f"local_cls_norm.{leaf}": torch.ones(24) for leaf in ("weight", "bias")}
    torch.save(tensors | more, tmp_path / "whole.pth")
    report = backbones.load(tmp_path / "whole.pth", input_size=32).key_report
    assert report.dropped["norm of local crops, of pre-training alone"] == tuple(more)


def test_a_bias_without_a_mask_is_whole(file, tmp_path, close):
    path, tensors = file
    bare = {name: v for name, v in tensors.items() if "bias_mask" not in name}
    torch.save(bare, path)
    backbone = backbones.load(path, input_size=32)
    images = torch.rand(1, 3, 32, 32)
    ones = {f"blocks.{i}.attn.qkv.bias_mask": torch.ones(72) for i in range(2)}
    expected = dinov3(bare | ones, (images - backbone.mean) / backbone.std)[-1]
    assert close(backbone.blocks(images)[-1].double(), expected)


def timm_network(**options):
    return Eva(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=0,
        init_values=0.5, rope_type="dinov3", rope_temperature=100, rope_rotate_half=True,
        use_rot_pos_emb=True, use_abs_pos_emb=False, num_reg_tokens=4, use_fc_norm=False,
        global_pool="token", norm_layer=lambda width, **_: torch.nn.LayerNorm(width, eps=1e-5),
        **options,
    ).eval()  # fmt: skip


def test_timm_reads_the_published_file_alike(file, close):
    """By its own table of names; it computes the periods, which the file has rounded."""
    path, tensors = file
    gated = "blocks.0.mlp.w1.weight" in tensors
    more = {"swiglu_mlp": True, "swiglu_align_to": 4, "mlp_ratio": 20.5 / 24} if gated else {}
    model = timm_network(qkv_bias=True, **more)
    model.load_state_dict(checkpoint_filter_fn(tensors, model))
    backbone = backbones.load(path, input_size=32)
    backbone.encoder.rope.periods.copy_(model.rope.periods)
    images = torch.rand(2, 3, 32, 32)
    assert close(backbone.pooled(images), model((images - backbone.mean) / backbone.std))


@pytest.mark.parametrize("bias", [False, True])
def test_timm(bias, tmp_path, close):
    """Under timm's names, which leave the periods out: its rule makes them."""
    torch.manual_seed(0)
    model = timm_network(qkv_bias=bias)
    for parameter in model.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    torch.save(model.state_dict(), tmp_path / "dinov3.pth")
    backbone = backbones.load(tmp_path / "dinov3.pth", 32, arch={"num_heads": 3})
    assert (backbone.key_report.format, backbone.spec.arch["rope"]) == ("timm", "dinov3")
    assert backbone.key_report.created == ("encoder.rope.periods",)
    images = torch.rand(2, 3, 32, 32)
    assert close(backbone.pooled(images), model((images - backbone.mean) / backbone.std))


def test_damaged_files_are_refused(file, tmp_path, refused):
    _, tensors = file
    name = "blocks.1.ls2.gamma"
    mutants = {
        "not in the file: .*gamma_2": {n: v for n, v in tensors.items() if n != name},
        "not in the model: .*ls3": tensors | {"blocks.1.ls3.gamma": tensors[name]},
        "other shape: .*gamma_2": tensors | {name: torch.ones(23)},
        "infinite or missing": tensors | {name: torch.full((24,), torch.nan)},
        "periods are not those of the published": tensors
        | {"rope_embed.periods": tensors["rope_embed.periods"].flip(0)},
        "periods are not those of the": tensors | {"rope_embed.periods": torch.ones(1)},
        "no storage_tokens": {n: v for n, v in tensors.items() if n != "storage_tokens"},
        "periods has shape": tensors | {"rope_embed.periods": torch.ones(1, 2)},
    }
    for match, state in mutants.items():
        torch.save(state, tmp_path / "mutant.pth")
        refused(tmp_path / "mutant.pth", match)


def test_one_tensor_less_or_of_another_name(file, tmp_path):
    _, tensors = file
    assert refused_or_the_same(tmp_path / "mutant.pth", tensors, input_size=32) >= 10
