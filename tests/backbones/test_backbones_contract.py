"""What every encoder can do, on both families: sizes, randomness, gradients, hashes."""

import copy
import pickle

import pytest
import torch
from torch.nn import functional

import backbones
from backbones.droppath import rates

FAMILIES = ["beit", "vit", "eva"]


@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_of_a_size_that_the_patch_does_not_divide(tiny, family):
    backbone = tiny(family, size=(50, 33), keep=("decoder",))
    images = torch.rand(2, 3, 50, 33)
    assert backbone.encode(images).shape == (2, 24, 7, 5)
    assert [m.shape for m in backbone(images)] == [(2, 24, 7, 5)]
    assert backbone.pooled(images).shape == (2, 24)
    assert [b.shape for b in backbone.blocks(images)] == [(2, 36, 24)] * 3
    mask = torch.zeros(2, 7, 5, dtype=torch.bool)
    mask[:, 1:3] = True
    expected = (2, 0, 7, 5) if family == "eva" else (2, 3, 50, 33)  # no pixels are predicted
    assert backbone.masked(images, mask).reconstruction.shape == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_is_the_mean_colour_at_the_right_and_the_bottom(tiny, family):
    padded, whole = tiny(family, size=(30, 21)), tiny(family, size=(32, 24))
    whole.load_state_dict(padded.state_dict())
    images = torch.rand(1, 3, 30, 21)
    centred = functional.pad(images - padded.mean, (0, 3, 0, 2)) + padded.mean
    assert torch.allclose(padded.encode(images), whole.encode(centred), atol=1e-5)


@pytest.mark.parametrize("size", [(48, 64), (80, 40), (50, 70)])
def test_files_at_other_shapes(simmim_file, mae_file, mae_heads, size):
    for path, arch in ((simmim_file, None), (mae_file, mae_heads)):
        backbone = backbones.load(path, input_size=size, arch=arch, keep=("decoder",))
        features = backbone.encode(torch.rand(1, 3, *size))
        assert features.shape[2:] == tuple(-(-s // 8) for s in size)
        assert features.isfinite().all()


def test_rows_and_columns_are_not_exchanged(simmim_file):
    """An upright input of a table that is symmetric under transposition equals the lying one."""
    upright = backbones.load(simmim_file, input_size=(64, 40))
    lying = backbones.load(simmim_file, input_size=(40, 64))
    for backbone in (upright, lying):
        bias = backbone.encoder.rel_pos_bias
        rows, columns = (2 * n - 1 for n in backbone.grid)
        table = bias.relative_position_bias_table.data
        offsets = torch.cartesian_prod(
            torch.arange(rows) - rows // 2, torch.arange(columns) - columns // 2
        ).float()
        table[:-3] = offsets.norm(dim=1, keepdim=True).cos()
        kernel = backbone.encoder.patch_embed.proj.weight.data
        kernel.copy_((kernel + kernel.transpose(2, 3)) / 2)
    kernel = upright.encoder.patch_embed.proj.weight
    assert torch.equal(kernel, lying.encoder.patch_embed.proj.weight)
    images = torch.rand(1, 3, 64, 40)
    ours, transposed = upright.encode(images), lying.encode(images.transpose(2, 3))
    assert torch.allclose(ours, transposed.transpose(2, 3), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_images_of_another_size_are_refused(tiny, family):
    with pytest.raises(ValueError, match=r"\(B, 3, 32, 32\), got \(1, 3, 32, 40\)"):
        tiny(family).encode(torch.rand(1, 3, 32, 40))


@pytest.mark.parametrize("family", FAMILIES)
def test_normalisation_belongs_to_the_backbone(tiny, family):
    images = torch.rand(1, 3, 32, 32)
    plain = tiny(family, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    other = tiny(family, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    centred = (images - other.mean) / other.std
    assert torch.allclose(plain.encode(centred), other.encode(images), atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_masked_pixels_have_no_influence(tiny, family):
    backbone = tiny(family, keep=("decoder",))
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, 1:3, 1:3] = True
    images = torch.rand(1, 3, 32, 32)
    changed = images.clone()
    changed[:, :, 8:24, 8:24] = torch.rand(1, 3, 16, 16)
    assert torch.equal(
        backbone.masked(images, mask).reconstruction, backbone.masked(changed, mask).reconstruction
    )
    changed[:, :, :8] = 0
    assert not torch.equal(
        backbone.masked(images, mask).features, backbone.masked(changed, mask).features
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_masks_of_the_wrong_kind(tiny, family):
    images = torch.rand(1, 3, 32, 32)
    backbone = tiny(family, keep=("decoder",))
    with pytest.raises(ValueError, match="bool mask of shape"):
        backbone.masked(images, torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match="bool mask of shape"):
        backbone.masked(images, torch.zeros(1, 16, dtype=torch.bool))
    with pytest.raises(backbones.LoadError, match=r"keep=\('decoder',\)"):
        tiny(family).masked(images, torch.zeros(1, 4, 4, dtype=torch.bool))
    with pytest.raises(backbones.LoadError, match=r"keep=\('head',\)"):
        tiny(family).logits(images)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("output", ["encode", "pooled", "masked"])
def test_unused_names_are_those_without_gradient(tiny, family, output):
    backbone = tiny(family, keep=("decoder",)).train()
    images = torch.rand(2, 3, 32, 32)
    with torch.enable_grad():
        if output == "masked":
            mask = torch.zeros(2, 4, 4, dtype=torch.bool)
            mask[:, :2] = True
            result = backbone.masked(images, mask).reconstruction
        else:
            result = getattr(backbone, output)(images)
        (result * torch.rand_like(result)).sum().backward()
    without = {name for name, p in backbone.named_parameters() if p.grad is None}
    assert without == backbone.unused_names(output)
    if family == "beit":
        unread = "encoder.norm.weight" if output == "pooled" else "fc_norm.weight"
        assert unread in without


@pytest.mark.parametrize("family", FAMILIES)
def test_drop_path_with_sample_keys_does_not_depend_on_the_order(tiny, family):
    backbone = tiny(family, drop_path=0.6, noise=0.2).train()
    images, keys = torch.rand(8, 3, 32, 32), torch.arange(8) * 7919
    backbone.set_sample_keys(keys)
    first = backbone.encode(images)
    torch.manual_seed(123)
    order = torch.randperm(8)
    backbone.set_sample_keys(keys[order])
    assert torch.allclose(backbone.encode(images[order]), first[order], atol=1e-5)
    alone = []
    for i in range(8):
        backbone.set_sample_keys(keys[i : i + 1])
        alone.append(backbone.encode(images[i : i + 1]))
    assert torch.allclose(torch.cat(alone), first, atol=1e-5)
    backbone.set_sample_keys(keys + 1)
    assert not torch.allclose(backbone.encode(images), first, atol=0.1)
    with pytest.raises(ValueError, match="batch of 8 samples"):
        backbone.encode(images[:3])


def test_drop_path_leaves_out_as_often_as_said_and_only_in_training(tiny):
    from backbones.droppath import DropPath, SampleKeys

    keys = SampleKeys()
    layer = DropPath(0.3, 5, keys)
    ones = torch.ones(20000, 2)
    keys.values = torch.arange(20000)
    kept = (layer(ones)[:, 0] > 0).float().mean().item()
    # 4 standard deviations of the share of 20,000 draws.
    assert kept == pytest.approx(0.7, abs=4 * (0.21 / 20000) ** 0.5)
    assert layer(ones).unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert torch.equal(layer.eval()(ones), ones)


def test_drop_path_rates_grow_as_in_timm():
    from timm.layers import calculate_drop_path_rates

    assert rates(0.3, 12) == pytest.approx(calculate_drop_path_rates(0.3, 12), abs=1e-7)
    assert rates(0.3, 1) == [0.0]


@pytest.mark.parametrize("family", FAMILIES)
def test_initialise_is_a_function_of_the_seed_alone(tiny, family):
    before = torch.get_rng_state()
    first, again, other = (tiny(family, seed=s, keep=("decoder",)) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.parameters_sha256() == again.parameters_sha256() != other.parameters_sha256()
    decoders = [torch.cat([p.flatten() for p in b.decoder.parameters()]) for b in (first, again)]
    assert torch.equal(*decoders)
    for parameter in first.parameters():
        parameter.add_(1)
    first.initialise(3)
    assert first.parameters_sha256() == again.parameters_sha256() == first.loaded_sha256


def test_loading_leaves_the_global_generator_alone(simmim_file):
    before = torch.get_rng_state()
    backbones.load(simmim_file)
    assert torch.equal(torch.get_rng_state(), before)


def test_simmim_initialisation(tiny):
    """Truncated normal of deviation 0.02 cut at one deviation; output projections by depth."""
    backbone = tiny(arch={"embed_dim": 96}, keep=("decoder",))
    blocks = backbone.encoder.blocks
    qkv = blocks[1].attn.qkv.weight
    # A normal cut at +-1 deviation has 0.5396 of the deviation.
    assert qkv.abs().max() <= 0.02
    assert qkv.std().item() == pytest.approx(0.02 * 0.5396, rel=0.02)
    for i, block in enumerate(blocks):
        for weight in (block.attn.proj.weight, block.mlp.fc2.weight):
            scaled = 0.02 * 0.5396 / (2 * (i + 1)) ** 0.5
            assert weight.std().item() == pytest.approx(scaled, rel=0.03)
        assert torch.equal(block.gamma_1, torch.full((96,), 0.1))
        assert not block.attn.q_bias.any()
    assert not backbone.encoder.rel_pos_bias.relative_position_bias_table.any()
    assert 0 < backbone.decoder.mask_token.abs().max() <= 0.02


def test_mae_initialisation(tiny):
    backbone = tiny("vit", arch={"init": "mae", "embed_dim": 96})
    weight = backbone.encoder.blocks[0].mlp.fc1.weight
    bound = (6 / (96 + 4 * 96)) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    table = backbone.encoder.pos_embed
    assert not table[:, 0].any()
    # First place: sines of 0 and cosines of 0.
    assert torch.equal(table[0, 1].unflatten(0, (4, 24)).mean(dim=1), torch.tensor([0.0, 1, 0, 1]))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_hash_sees_every_parameter_of_the_encoder(tiny, family):
    backbone = tiny(family)
    seen = {backbone.parameters_sha256()}
    for name, parameter in backbone.named_parameters():
        parameter.view(-1)[0] += 1
        digest = backbone.parameters_sha256()
        assert (digest not in seen) == name.startswith("encoder."), name
        seen.add(digest)


@pytest.mark.parametrize("family", FAMILIES)
def test_copies_keep_their_own_sample_keys(tiny, family):
    backbone = tiny(family, drop_path=0.5, noise=0.2).train()
    twin = pickle.loads(pickle.dumps(copy.deepcopy(backbone)))
    images, keys = torch.rand(4, 3, 32, 32), torch.arange(4)
    backbone.set_sample_keys(keys)
    twin.set_sample_keys(keys[:2] + 100)
    ours, other = backbone.encode(images)[:2], twin.encode(images[:2])
    assert not torch.allclose(ours, other, atol=0.1)
    twin.set_sample_keys(keys[:2])
    assert torch.allclose(ours, twin.encode(images[:2]), atol=1e-5)


def test_drop_last_is_the_shorter_network(simmim_file):
    whole, short = backbones.load(simmim_file), backbones.load(simmim_file, drop_last=1)
    images = torch.rand(1, 3, 48, 48)
    assert torch.equal(short.blocks(images)[-1], whole.blocks(images)[1])
    tokens = whole.encoder.norm(whole.blocks(images)[1])
    assert torch.allclose(short.encode(images), whole.as_map(tokens), atol=1e-6)


def test_wrong_architectures():
    with pytest.raises(backbones.LoadError, match="needs embed_dim"):
        backbones.create("beit", {"depth": 1, "num_heads": 1, "patch_size": 8}, 32, 0)
    with pytest.raises(backbones.LoadError, match="unknown family 'resnet'; known: vit, beit"):
        backbones.create("resnet", {}, 32, 0)
    with pytest.raises(backbones.LoadError, match="depth: expected a whole number"):
        backbones.create("vit", {"embed_dim": 192, "depth": 1.5, "patch_size": 8}, 32, 0)
    with pytest.raises(backbones.LoadError, match="drop_path"):
        arch = {"embed_dim": 192, "depth": 1, "patch_size": 8}
        backbones.create("vit", arch, 32, 0, drop_path=1.0)
