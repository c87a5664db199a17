"""Hiera: files under its authors' names and timm's give its network."""

import copy
import pickle

import pytest
import timm
import torch
from timm.models.hiera import Hiera, checkpoint_filter_fn
from torch.nn import functional

import backbones
from tests.backbones.damage import refused_or_the_same
from tests.backbones.hiera_network import hiera
from tests.backbones.hieras import ARCH, DECODER, DEPTHS, HEAD, new, published, saved


@pytest.mark.parametrize("size", [(64, 64), (96, 64)])
def test_fine_tuned(size, tmp_path, close):
    written = new(size, keep=("head",), arch={"num_classes": 5})
    tensors = published(written)
    path = saved(tensors, tmp_path / "hiera.pth")
    arch = HEAD | ({} if size[0] == size[1] else {"image_size": size})
    backbone = backbones.load(path, arch=arch, keep=("head",))
    report = backbone.key_report
    assert report.format == "hiera"
    assert report.total == len(report.used) == len(tensors)
    images = torch.rand(2, 3, *size)
    expected = hiera(tensors, (images - backbone.mean) / backbone.std, DEPTHS)
    for found, reference in zip(backbone.blocks(images), expected, strict=True):
        assert close(found.double(), reference)
    for found, last in zip(backbone(images), (0, 2, 5, 6), strict=True):
        assert close(found.double(), expected[last])
    assert torch.equal(backbone.encode(images), backbone(images)[-1])
    assert [(i.channels, i.stride) for i in backbone.feature_info] == [
        (8, 4), (16, 8), (32, 16), (64, 32),
    ]  # fmt: skip
    norm = [tensors[f"norm.{leaf}"].double() for leaf in ("weight", "bias")]
    mean = functional.layer_norm(expected[-1].mean((2, 3)), (64,), *norm, 1e-6)
    assert close(backbone.pooled(images).double(), mean)
    logits = mean @ tensors["head.projection.weight"].double().T
    assert close(backbone.logits(images).double(), logits + tensors["head.projection.bias"])


def test_pretrained(tmp_path, close):
    """The decoder goes, and with it the norm of the sum of all stages; q_pool as asked."""
    tensors = published(new(arch=DECODER, keep=("decoder",)))
    tensors = {name: v for name, v in tensors.items() if not name.startswith("norm.")}
    path = saved(tensors, tmp_path / "mae_hiera.pth")
    backbone = backbones.load(path, arch=HEAD)
    assert backbone.spec.objective == "mae"
    assert backbone.key_report.created == ("fc_norm.bias", "fc_norm.weight")
    [dropped] = backbone.key_report.dropped.values()
    assert {"encoder_norm.weight", "mask_token", "multi_scale_fusion_heads.1.bias"} < set(dropped)
    images = torch.rand(1, 3, 64, 64)
    normed = (images - backbone.mean) / backbone.std
    assert close(backbone.encode(images).double(), hiera(tensors, normed, DEPTHS)[-1])
    earlier = backbones.load(path, arch=HEAD | {"q_pool": 2})
    assert earlier.feature_info[-1].stride == 16
    for found, expected in zip(
        earlier.blocks(images), hiera(tensors, normed, DEPTHS, q_pool=2), strict=True
    ):
        assert close(found.double(), expected)


@pytest.mark.parametrize("windows", [False, True])
def test_timm(windows, tmp_path, close):
    """With the table of one size and with that of a window, at two sizes."""
    torch.manual_seed(0)
    more = {"abs_win_pos_embed": True, "global_pos_size": (5, 5), "init_values": 0.5,
            "use_expand_proj": False} if windows else {}  # fmt: skip
    options = {"embed_dim": 8, "num_heads": 1, "stages": DEPTHS, "num_classes": 5} | more
    model = Hiera(img_size=(64, 64), **options).eval()
    for parameter in model.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    torch.save(model.state_dict(), tmp_path / "hiera.pth")
    for size in ((64, 64), (96, 64)) if windows else ((64, 64),):
        backbone = backbones.load(tmp_path / "hiera.pth", size, arch=HEAD, keep=("head",))
        theirs = Hiera(img_size=size, **options).eval()
        theirs.load_state_dict(model.state_dict())
        images = torch.rand(2, 3, *size)
        normed = (images - backbone.mean) / backbone.std
        assert close(backbone.logits(images), theirs(normed))
        maps = theirs.forward_intermediates(normed, intermediates_only=True)
        assert all(close(a, b) for a, b in zip(backbone(images), maps, strict=True))
        assert not backbone.key_report.converted


def test_timm_reads_the_published_file_alike(tmp_path, close):
    """By its own table of names."""
    tensors = published(new(keep=("head",), arch={"num_classes": 5}))
    path = saved(tensors, tmp_path / "hiera.pth")
    model = Hiera(img_size=(64, 64), embed_dim=8, num_heads=1, stages=DEPTHS, num_classes=5).eval()
    model.load_state_dict(checkpoint_filter_fn({"model_state": tensors}))
    backbone = backbones.load(path, arch=HEAD, keep=("head",))
    images = torch.rand(2, 3, 64, 64)
    assert close(backbone.logits(images), model((images - backbone.mean) / backbone.std))


def test_timm_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    name = "hiera_tiny_224.mae_in1k_ft_in1k"
    model = timm.create_model(name)
    torch.save(model.state_dict(), tmp_path / "checkpoints" / f"{name}.pth")
    backbone = backbones.load(f"timm:{name}", input_size=32, keep=("head",))
    assert backbone.spec.arch["depths"] == (1, 2, 7, 2)
    assert backbone.logits(torch.rand(1, 3, 32, 32)).shape == (1, 1000)


def test_other_sizes(tmp_path):
    tensors = published(new())
    path = saved(tensors, tmp_path / "hiera.pth")
    backbone = backbones.load(path, input_size=(96, 32), arch=HEAD)
    table = tensors["pos_embed"].view(1, 16, 16, 8).permute(0, 3, 1, 2)
    table = functional.interpolate(table, size=(24, 8), mode="bicubic")
    assert torch.equal(backbone.encoder.pos_embed, table.flatten(2).transpose(1, 2))
    assert list(backbone.key_report.converted) == ["position table 16x16 to 24x8, bicubic"]


def test_a_size_that_units_do_not_divide_is_padded_with_the_mean_colour(tmp_path, close):
    path = saved(published(new()), tmp_path / "hiera.pth")
    small, large = (backbones.load(path, size, arch=HEAD) for size in ((70, 45), (96, 64)))
    images = torch.rand(1, 3, 70, 45)
    padded = large.mean.expand(1, 3, 96, 64).clone()
    padded[:, :, :70, :45] = images
    shapes = [(18, 12), (9, 6), (5, 3), (3, 2)]
    for found, whole, (rows, columns) in zip(small(images), large(padded), shapes, strict=True):
        assert close(found, whole[:, :, :rows, :columns])


@pytest.mark.parametrize("size", [(64, 96), (70, 45)])
@pytest.mark.parametrize("q_pool", [3, 2])
def test_attention(size, q_pool, close):
    """Multiplied with the values it is the block's own output, cell by cell."""
    backbone = new(size, arch={"q_pool": q_pool})
    layers = [block for stage in backbone.encoder.layers for block in stage.blocks]
    seen = []
    for block in layers:
        block.attn.register_forward_hook(lambda _, inputs, output: seen.append((*inputs, output)))
    images, stages, before = torch.rand(2, 3, *size), [], 0
    plain = backbone.encode(images)
    seen.clear()
    for found in backbone.attention(images):
        number, stage, pooling = found.block, found.stage, layers[found.block].attn.q_stride > 1
        inputs, output = seen[number]
        source = before if pooling else stage
        places = backbone.encoder.in_raster(inputs, number - pooling)
        rows, columns = (-(-side // backbone.arch.strides[source]) for side in size)
        real = torch.zeros(places.shape[1:3], dtype=torch.bool)
        real[:rows, :columns] = True
        keys = torch.cat([places[:, real], places[:, ~real]], dim=1)
        heads = found.probabilities.shape[1]
        values = layers[number].attn.qkv(keys).chunk(3, dim=-1)[2].unflatten(-1, (heads, -1))
        attended = (found.probabilities @ values.transpose(1, 2)).transpose(1, 2).flatten(2)
        rows, columns = (-(-side // backbone.arch.strides[stage]) for side in size)
        theirs = backbone.encoder.in_raster(output, number)[:, :rows, :columns].flatten(1, 2)
        assert close(layers[number].attn.proj(attended), theirs)
        total = found.probabilities.sum(-1)
        assert torch.allclose(total, torch.ones_like(total), atol=1e-5)
        assert found.key_positions[real.sum() :].isnan().all()
        stages.append(stage)
        before = stage
    assert stages == [0, 1, 1, 2, 2, 2, 3]
    assert torch.equal(backbone.encode(images), plain)


def test_positions_of_pooled_queries():
    backbone = new((64, 96))
    maps = list(backbone.attention(torch.rand(1, 3, 64, 96)))
    assert maps[0].query_positions[:2].tolist() == [[2, 2], [6, 2]]
    assert maps[1].query_positions[:2].tolist() == [[4, 4], [12, 4]]
    assert maps[1].key_positions[24:26].tolist() == [[2, 6], [6, 6]]
    # Mask units of 32 pixels: the second row's cells of the first unit, none of its neighbour.
    row = maps[1].probabilities[0, 0, 0].view(16, 24)
    assert (row[:8, :8] > 0).all()
    assert not row[8:].any()
    assert not row[:, 8:].any()
    assert (maps[4].probabilities > 0).all()


def test_a_stopped_look_leaves_nothing_behind():
    backbone = new()
    stream = backbone.attention(torch.rand(1, 3, 64, 64))
    next(stream)
    stream.close()
    assert not any(m._forward_pre_hooks for m in backbone.modules())


def test_the_last_blocks_of_stage_3_go_and_stage_4_stays(tmp_path):
    whole = new()
    path = saved(published(whole), tmp_path / "hiera.pth")
    short = backbones.load(path, arch=HEAD, drop_last=2)
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(short(images)[2], whole.blocks(images)[3])
    assert short(images)[3].shape == whole(images)[3].shape
    assert short.last_layer == 6
    with pytest.raises(backbones.LoadError, match="0 to 2 of the 3 blocks of stage 3"):
        backbones.load(path, arch=HEAD, drop_last=3)


def test_layer_numbers():
    """As in a plain ViT: SlowFast's optimizer, with which Hiera is fine-tuned."""
    ids = new(keep=("head",), arch={"num_classes": 2}).layer_ids()
    assert ids["encoder.pos_embed"] == ids["encoder.patch_embed.proj.weight"] == 0
    assert ids["encoder.layers.0.blocks.0.norm1.weight"] == 1
    assert ids["encoder.layers.1.blocks.0.proj.weight"] == 2
    assert ids["encoder.layers.3.blocks.0.mlp.fc2.bias"] == 7
    assert ids["fc_norm.weight"] == ids["head.bias"] == 8
    assert "encoder.pos_embed" in new().no_decay_names()


def test_saved_at_another_size_it_is_the_same_network(tmp_path):
    backbone = new((70, 45), arch={"q_pool": 2})
    backbones.save(backbone, tmp_path / "own.safetensors", {}, torch.float32)
    loaded = backbones.load(tmp_path / "own.safetensors")
    images = torch.rand(1, 3, 70, 45)
    assert torch.equal(loaded.encode(images), backbone.encode(images))
    assert not loaded.key_report.converted
    twin = pickle.loads(pickle.dumps(copy.deepcopy(backbone)))
    assert torch.equal(twin.encode(images), backbone.encode(images))


def test_initialise_is_a_function_of_the_seed_alone():
    before = torch.get_rng_state()
    first, again, other = (backbones.create("hiera", ARCH, 64, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.parameters_sha256() == again.parameters_sha256() != other.parameters_sha256()
    assert (first.encoder.layers[0].blocks[0].norm1.bias == 0.02).all()


def test_drop_path_with_sample_keys_does_not_depend_on_the_order():
    backbone = new(drop_path=0.5).train()
    images, keys, order = torch.rand(4, 3, 64, 64), torch.arange(4), torch.tensor([2, 0, 3, 1])
    backbone.set_sample_keys(keys)
    straight = backbone.encode(images)
    backbone.set_sample_keys(keys[order])
    assert torch.allclose(backbone.encode(images[order]), straight[order], atol=1e-5)
    assert not torch.allclose(straight, backbone.eval().encode(images), atol=1e-3)


def test_unused_names_are_those_without_gradient():
    backbone = new(keep=("head",), arch={"num_classes": 2})
    for output in ("encode", "pooled", "logits"):
        backbone.zero_grad()
        with torch.enable_grad():
            getattr(backbone, output)(torch.rand(1, 3, 64, 64)).square().sum().backward()
        without = {name for name, p in backbone.named_parameters() if p.grad is None}
        assert without == backbone.unused_names(output)


def test_damaged_files(tmp_path, refused):
    tensors = published(new())
    path, name = tmp_path / "mutant.pth", "blocks.2.mlp.fc2.weight"
    mutants = {
        "not in the file: .*fc2": {n: v for n, v in tensors.items() if n != name},
        "not in the model: .*fc3": tensors | {"blocks.2.mlp.fc3.weight": tensors[name]},
        "other shape: .*fc2": tensors | {name: tensors[name].T.contiguous()},
        "infinite or missing": tensors | {name: torch.full_like(tensors[name], torch.nan)},
        "expected the numbers 0 to 7, got": tensors | {"blocks.9.norm1.bias": torch.ones(1)},
    }
    for match, state in mutants.items():
        refused(saved(state, path), match, arch=HEAD)
    assert refused_or_the_same(path, tensors, every=8, arch=HEAD) >= 20


def test_what_cannot_be_had(tmp_path, refused):
    path = saved(published(new()), tmp_path / "hiera.pth")
    refused(path, "does not tell num_heads and no published Hiera is 8 wide")
    refused(path, "has no decoder to keep", arch=HEAD, keep=("decoder",))
    refused(path, "has no head to keep", arch=HEAD, keep=("head",))
    refused(path, "q_pool: expected 0 to 3 of 4 stages, got 4", arch=HEAD | {"q_pool": 4})
    with pytest.raises(backbones.LoadError, match="keep"):
        new().masked(torch.rand(1, 3, 64, 64), torch.zeros(1, 16, 16, dtype=torch.bool))
