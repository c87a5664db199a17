"""What encoders with stages can do: sizes, removal of blocks, randomness, gradients, files."""

import copy
import pickle

import pytest
import torch

import backbones
from harness.testing import check_backbone
from tests.backbones.stages import small

FAMILIES = ["swin", "swinv2"]
MASKED = {"keep": ("decoder",)}

pytestmark = pytest.mark.parametrize("family", FAMILIES)


@pytest.mark.parametrize("size", [64, (70, 45), (32, 96)])
def test_contract(family, size):
    with torch.enable_grad():
        check_backbone(small(family, size))


def test_shapes_of_a_size_that_nothing_divides(family):
    backbone = small(family, (50, 77), **MASKED)
    images = torch.rand(2, 3, 50, 77)
    grids = [(13, 20), (7, 10), (4, 5), (2, 3)]
    assert [m.shape for m in backbone(images)] == [(2, 8 * 2**i, *g) for i, g in enumerate(grids)]
    assert backbone.encode(images).shape == (2, 64, 2, 3)
    assert backbone.pooled(images).shape == (2, 64)
    assert len(backbone.blocks(images)) == 7
    mask = torch.zeros(2, 13, 20, dtype=torch.bool)
    mask[:, 1:3] = True
    assert backbone.masked(images, mask).reconstruction.shape == (2, 3, 50, 77)


def test_an_upright_input_is_a_lying_one_turned(family):
    """With everything in the network symmetric under transposition."""
    upright, lying = small(family, (72, 40)), small(family, (40, 72))
    lying.load_state_dict(upright.state_dict())
    for backbone in (upright, lying):
        symmetric(backbone)
    images = torch.rand(1, 3, 72, 40)
    ours, turned = upright.encode(images), lying.encode(images.transpose(2, 3))
    assert torch.allclose(ours, turned.transpose(2, 3), atol=1e-4)


def symmetric(backbone):
    """Make the weights see rows and columns alike."""
    for name, parameter in backbone.named_parameters():
        value = parameter.data
        if name.endswith("relative_position_bias_table"):
            side = round(len(value) ** 0.5)
            square = value.view(side, side, -1)
            value.copy_(((square + square.transpose(0, 1)) / 2).reshape(value.shape))
        elif name.endswith("cpb_mlp.0.weight"):
            value.copy_(value.mean(dim=1, keepdim=True).expand_as(value))
        elif name.endswith("patch_embed.proj.weight"):
            value.copy_((value + value.transpose(2, 3)) / 2)
    for stage in list(backbone.encoder.layers)[1:]:
        merging = stage.downsample
        exchange(merging.reduction.weight.data)
        if len(merging.norm.weight) == merging.reduction.in_features:
            exchange(merging.norm.weight.data)
            exchange(merging.norm.bias.data)


def exchange(value):
    """Make the cell below and the cell at the right weigh alike, of the four that are merged."""
    four = value.unflatten(-1, (4, -1))
    mean = (four[..., 1, :] + four[..., 2, :]) / 2
    four[..., 1, :] = mean
    four[..., 2, :] = mean


def test_masked_pixels_have_no_influence(family):
    backbone = small(family, **MASKED)
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[:, 4:12, 4:12] = True
    images = torch.rand(1, 3, 64, 64)
    changed = images.clone()
    changed[:, :, 16:48, 16:48] = torch.rand(1, 3, 32, 32)
    one, other = backbone.masked(images, mask), backbone.masked(changed, mask)
    assert torch.equal(one.reconstruction, other.reconstruction)
    changed[:, :, :8] = 0
    assert not torch.equal(one.features, backbone.masked(changed, mask).features)


def test_masks_of_the_wrong_kind(family):
    images = torch.rand(1, 3, 64, 64)
    backbone = small(family, **MASKED)
    for wrong in (torch.zeros(1, 16, 16), torch.zeros(1, 8, 8, dtype=torch.bool)):
        with pytest.raises(ValueError, match=r"bool mask of shape \(1, 16, 16\)"):
            backbone.masked(images, wrong)
    with pytest.raises(backbones.LoadError, match=r"keep=\('decoder',\)"):
        small(family).masked(images, torch.zeros(1, 16, 16, dtype=torch.bool))
    with pytest.raises(backbones.LoadError, match=r"keep=\('head',\)"):
        small(family).logits(images)


@pytest.mark.parametrize("output", ["forward", "encode", "pooled", "logits", "masked"])
def test_unused_names_are_those_without_gradient(family, output):
    backbone = small(family, keep=("decoder", "head"), arch={"num_classes": 5}).train()
    images = torch.rand(2, 3, 64, 64)
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[:, :8] = True
    with torch.enable_grad():
        result = getattr(backbone, output)(images, *[mask] * (output == "masked"))
        result = {"forward": lambda r: r[-1], "masked": lambda r: r[1]}.get(output, lambda r: r)(
            result
        )
        (result * torch.rand_like(result)).sum().backward()
    without = {name for name, p in backbone.named_parameters() if p.grad is None}
    assert without == backbone.unused_names(output)


def test_gradients_reach_what_makes_positions(family):
    """In every block, also where windows are padded."""
    backbone = small(family, (70, 45))
    with torch.enable_grad():
        backbone.encode(torch.rand(1, 3, 70, 45)).square().sum().backward()
    leaf = {"swin": "relative_position_bias_table", "swinv2": "cpb_mlp.2.weight"}[family]
    tables = [p for name, p in backbone.named_parameters() if name.endswith(leaf)]
    assert len(tables) == 7
    assert all(table.grad.abs().max() > 0 for table in tables)


def test_drop_path_with_sample_keys_does_not_depend_on_the_order(family):
    backbone = small(family, drop_path=0.6).train()
    images, keys = torch.rand(6, 3, 64, 64), torch.arange(6) * 7919
    backbone.set_sample_keys(keys)
    first = backbone.encode(images)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    backbone.set_sample_keys(keys[order])
    assert torch.allclose(backbone.encode(images[order]), first[order], atol=1e-4)
    backbone.set_sample_keys(keys + 1)
    assert not torch.allclose(backbone.encode(images), first, atol=0.1)


def test_drop_path_grows_over_all_blocks(family):
    backbone = small(family, drop_path=0.6)
    rates = [b.drop_path1.rate for stage in backbone.encoder.layers for b in stage.blocks]
    assert rates == pytest.approx([0.1 * i for i in range(7)])


def test_initialise_is_a_function_of_the_seed_alone(family):
    before = torch.get_rng_state()
    first, again, other = (small(family, seed=s, noise=0, **MASKED) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.parameters_sha256() == again.parameters_sha256() != other.parameters_sha256()
    assert first.decoder.mask_token.std() > 0
    qkv = first.encoder.layers[3].blocks[0].attn.qkv
    # 4 standard errors of 12,288 draws.
    assert qkv.weight.std().item() == pytest.approx(0.02, rel=4 / (2 * 12288) ** 0.5)


def test_saved_at_another_size_it_is_the_same_network(family, tmp_path):
    arch = {"window_rule": "proportional", "window_size": 0, "trained_window": 4}
    backbone = small(family, (70, 45), arch=arch | {"image_size": (48, 48)})
    backbones.save(backbone, tmp_path / "swin.safetensors", {}, torch.float32)
    loaded = backbones.load(tmp_path / "swin.safetensors")
    assert loaded.input_size == (70, 45)
    images = torch.rand(1, 3, 70, 45)
    assert torch.equal(loaded.encode(images), backbone.encode(images))
    assert not loaded.key_report.converted


def test_the_last_blocks_of_stage_3_go_and_stage_4_stays(family, tmp_path):
    whole = small(family, arch={"depths": (1, 1, 4, 1)})
    backbones.save(whole, tmp_path / "swin.safetensors", {}, torch.float32)
    short = backbones.load(tmp_path / "swin.safetensors", drop_last=2)
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(short(images)[2], whole.blocks(images)[3])
    assert short(images)[3].shape == whole(images)[3].shape
    assert len(short.key_report.dropped["drop_last=2"]) == 2 * len(
        list(whole.encoder.layers[2].blocks[0].parameters())
    )
    assert short.last_layer == 6
    assert short.layer_ids()["encoder.layers.3.blocks.0.norm1.weight"] == 5


@pytest.mark.parametrize("simmim", [False, True])
def test_files_under_the_published_names(family, simmim, tmp_path):
    """What the publishers' code would have written, without its buffers."""
    keep = ("decoder",) if simmim else ("head",)
    written = small(family, keep=keep, arch={"num_classes": 5 * (not simmim)})
    prefix = "encoder." if simmim else ""
    names = {"decoder.mask_token": "encoder.mask_token", "head.weight": "head.weight",
             "decoder.conv.weight": "decoder.0.weight", "decoder.conv.bias": "decoder.0.bias",
             "head.bias": "head.bias"}  # fmt: skip
    tensors = {
        names.get(name) or prefix + published(name.removeprefix("encoder.")): value
        for name, value in written.state_dict().items()
    }
    torch.save({"model": tensors}, tmp_path / "published.pth")
    arch = {"window_size": (4, 4, 4, 2), "pretrained_window_size": 0}
    arch = arch if family == "swinv2" else {}
    loaded = backbones.load(tmp_path / "published.pth", keep=keep, arch=arch)
    assert loaded.key_report.format == ("simmim_swin" if simmim else "swin")
    assert loaded.spec.family == family
    images, mask = torch.rand(1, 3, 64, 64), torch.ones(1, 16, 16, dtype=torch.bool)
    if simmim:
        assert torch.equal(loaded.masked(images, mask)[1], written.masked(images, mask)[1])
    else:
        assert torch.equal(loaded.logits(images), written.logits(images))


def published(name):
    """Merging stands at the end of a stage there."""
    if "downsample" not in name:
        return name
    layers, stage, rest = name.split(".", 2)
    return f"{layers}.{int(stage) - 1}.{rest}"


def test_copies_are_the_same_network(family):
    backbone = small(family, (70, 45), drop_path=0.5)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(backbone)))
    images = torch.rand(2, 3, 70, 45)
    assert torch.equal(twin.encode(images), backbone.encode(images))
    for one in (backbone, twin):
        one.train()
        one.set_sample_keys(torch.arange(2))
    twin.set_sample_keys(torch.arange(2) + 7)
    assert not torch.equal(twin.encode(images), backbone.encode(images))


def test_new_encoders(family):
    arch = {"embed_dim": 64, "depths": [1, 1, 1, 1]}
    backbone = backbones.create(family, arch, 64, seed=0)
    assert backbone.spec.arch["num_heads"] == (2, 4, 8, 16)
    assert backbone.spec.arch["patch_size"] == 4
    with pytest.raises(backbones.LoadError, match="needs embed_dim"):
        backbones.create(family, {"depths": 2}, 64, seed=0)
    with pytest.raises(backbones.LoadError, match="num_heads: expected a divisor"):
        backbones.create(family, arch | {"num_heads": 3}, 64, seed=0)
    with pytest.raises(backbones.LoadError, match="no classifier to keep"):
        backbones.create(family, arch, 64, seed=0, keep=("head",))
