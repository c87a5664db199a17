"""Networks of timm that no other family serves, against timm's own with the same random weights."""

import math

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.maxxvit import MaxxVit, MaxxVitCfg, MaxxVitTransformerCfg
from timm.models.swin_transformer import SwinTransformer
from timm.optim import param_groups_layer_decay

import backbones
from backbones.timm_names import architecture
from harness.testing import check_backbone

_CFG = {
    "input_size": (3, 64, 64),
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.25, 0.3),
    "num_classes": 5,
    "classifier": "head.fc",
    "fixed_input_size": True,
}
default_cfgs = generate_default_cfgs({"padded_swin": _CFG, "tiny_maxvit": _CFG})


@register_model
def padded_swin(pretrained=False, **kwargs):
    """Its windows stick out of small maps, as no other family has them."""
    shape = {"embed_dim": 8, "depths": (1, 2, 1, 1), "num_heads": (1, 2, 2, 4), "window_size": 4}
    shape |= {"always_partition": True}
    return build_model_with_cfg(SwinTransformer, "padded_swin", pretrained, **shape, **kwargs)


@register_model
def tiny_maxvit(pretrained=False, **kwargs):
    cfg = MaxxVitCfg(
        embed_dim=(8, 16, 24, 32),
        depths=(1, 1, 1, 1),
        block_type=("M", "M", "M", "M"),
        stem_width=8,
        transformer_cfg=MaxxVitTransformerCfg(dim_head=8),
    )
    return build_model_with_cfg(MaxxVit, "tiny_maxvit", pretrained, model_cfg=cfg, **kwargs)


NAMES = [
    "test_resnet.r160_in1k",
    "test_efficientnet.r160_in1k",
    "regnetx_002.pycls_in1k",
    "pvt_v2_b0.in1k",
    "mobilenetv3_small_050.lamb_in1k",
    "padded_swin",
    "tiny_maxvit",
]


def _images(backbone):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 3, *backbone.input_size, generator=generator)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_timm(name, written, tmp_path):
    model, _ = written(name)
    backbone = backbones.load(f"timm:{name}", input_size=64, keep=("head",))
    assert backbone.spec.family == "timm_network"
    assert backbone.spec.mean == pytest.approx(model.pretrained_cfg["mean"])
    images = _images(backbone)
    normalised = (images - backbone.mean) / backbone.std
    features = model.forward_features(normalised)
    assert torch.equal(backbone.logits(images), model(normalised))
    assert torch.equal(backbone.pooled(images), model.forward_head(features, pre_logits=True))
    maps = model.forward_intermediates(normalised, intermediates_only=True)
    for ours, theirs in zip(backbone.blocks(images), maps, strict=True):
        assert torch.equal(ours, theirs)
    for found, info in zip(backbone(images), backbone.feature_info, strict=True):
        coarse = [x for x in maps if x.shape[2] == 64 // info.stride]
        assert torch.equal(found, coarse[-1])
    backbones.save(backbone, tmp_path / "ours.safetensors", {}, torch.float32)
    again = backbones.load(tmp_path / "ours.safetensors", keep=("head",))
    assert again.spec.arch["image_size"] == (64, 64)
    assert again.loaded_sha256 == backbone.loaded_sha256
    assert torch.equal(again.logits(images), backbone.logits(images))
    assert torch.equal(again.encode(images), backbone.encode(images))


@pytest.mark.parametrize("name", NAMES)
@torch.enable_grad()
def test_the_contract_holds(name):
    check_backbone(backbones.create("timm_network", {"model": name}, 64, seed=0))


def test_the_last_map_has_the_final_norm(written):
    model, _ = written("padded_swin")
    backbone = backbones.load("timm:padded_swin")
    images = _images(backbone)
    features = model.forward_features((images - backbone.mean) / backbone.std)
    assert torch.equal(backbone.encode(images), features.permute(0, 3, 1, 2))
    assert not torch.equal(backbone.encode(images), backbone(images)[-1])


def test_every_tensor_is_accounted_for(written):
    _, path = written("padded_swin")
    whole = load_file(path)
    backbone = backbones.load("timm:padded_swin")
    assert backbone.key_report.dropped == {
        "classifier, not kept": ("head.fc.bias", "head.fc.weight")
    }
    name = "layers.1.blocks.0.attn.qkv.weight"
    save_file(whole | {"layers.1.blocks.1.attn_mask": torch.zeros(4, 16, 16)}, path)
    computed = backbones.load("timm:padded_swin")
    assert computed.key_report.dropped["buffer that is computed"] == (
        "layers.1.blocks.1.attn_mask",
    )
    assert computed.loaded_sha256 == backbone.loaded_sha256
    missing = {n: value for n, value in whole.items() if n != name}
    broken = {
        "not in the file: .*qkv": missing,
        "not in the model: encoder.qkv": missing | {"qkv.weight": whole[name]},
        "not in the model: encoder.extra": whole | {"extra": torch.zeros(1)},
        "other shape: .*qkv": whole | {name: whole[name].T.contiguous()},
    }
    for reason, state in broken.items():
        save_file(state, path)
        with pytest.raises(backbones.LoadError, match=reason):
            backbones.load("timm:padded_swin")


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "padded_swin", "pvt_v2_b0.in1k"])
def test_layers_are_those_of_timms_optimiser(name):
    backbone = backbones.create("timm_network", {"model": name}, 64, seed=0, keep=("head",))
    model = timm.create_model(name)
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    ours = backbone.layer_ids()
    classifier = f"{model.pretrained_cfg['classifier']}."
    for theirs, parameter in model.named_parameters():
        renamed = theirs.replace(classifier, "head.") if theirs.startswith(classifier) else None
        layer = ours[renamed or f"encoder.{theirs}"]
        assert backbone.last_layer - layer == -math.log2(scale[id(parameter)])
    assert set(backbone.layer_ids("mae_pretrain").values()) == {backbone.last_layer}


def test_new_ones_are_drawn_from_their_seed_alone():
    arch = {"model": "test_resnet.r160_in1k"}
    before = torch.get_rng_state()
    one, same, other = (backbones.create("timm_network", arch, 64, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert one.loaded_sha256 == same.loaded_sha256 != other.loaded_sha256
    torch.manual_seed(1)
    drawn = timm.create_model(arch["model"]).state_dict()
    assert all(torch.equal(drawn[n], value) for n, value in one.encoder.state_dict().items())


def test_drop_path_belongs_to_samples():
    arch = {"model": "padded_swin"}
    backbone = backbones.create("timm_network", arch, 64, seed=0, drop_path=0.9).train()
    images = _images(backbone)
    backbone.set_sample_keys(torch.tensor([3, 4]))
    both = backbone.encode(images)
    assert torch.equal(both, backbone.encode(images))
    backbone.set_sample_keys(torch.tensor([4, 3]))
    swapped = backbone.encode(images.flip(0)).flip(0)
    torch.testing.assert_close(swapped, both)
    # timm's Swin has a rate of 0.1 by default.
    still = backbones.create("timm_network", arch, 64, seed=0)
    assert torch.equal(still.train().encode(images), still.eval().encode(images))
    with pytest.raises(backbones.LoadError, match="drop_path=0"):
        backbones.create("timm_network", {"model": "dla46_c.in1k"}, 64, seed=0, drop_path=0.1)


def test_sizes_that_cells_do_not_divide_are_padded():
    arch = {"model": "test_resnet.r160_in1k"}
    odd = backbones.create("timm_network", arch, (70, 50), seed=0)
    even = backbones.create("timm_network", arch, (96, 64), seed=0)
    (said,) = set(odd.spec.notes) - set(even.spec.notes)
    assert said.startswith("70x50 pixels are padded to 96x64")
    with torch.enable_grad():
        check_backbone(odd)
    images = _images(odd)
    padded = even.mean.expand(2, 3, 96, 64).clone()
    padded[:, :, :70, :50] = images
    for ours, theirs in zip(odd(images), even(padded), strict=True):
        torch.testing.assert_close(ours, theirs[:, :, : ours.shape[2], : ours.shape[3]])


def test_what_cannot_be_had_is_refused_in_one_line(written):
    written("tiny_maxvit")
    with pytest.raises(backbones.LoadError, match="has tables for 64x64 pixels"):
        backbones.load("timm:tiny_maxvit", input_size=96)
    with pytest.raises(backbones.LoadError, match="no blocks can be dropped"):
        backbones.load("timm:tiny_maxvit", drop_last=1)
    backbone = backbones.load("timm:tiny_maxvit")
    images = _images(backbone)
    with pytest.raises(backbones.LoadError, match=r"no attention .* vit, beit"):
        backbone.attention(images)
    with pytest.raises(backbones.LoadError, match="no input can be masked"):
        backbone.masked(images, torch.zeros(2, 2, 2, dtype=torch.bool))
    with pytest.raises(backbones.LoadError, match="without its head"):
        backbone.logits(images)
    for name in ("hf-hub:timm/resnet18.a1_in1k", "resnet18.nothing", "local-dir:/tmp"):
        with pytest.raises(backbones.LoadError, match="timm has no model"):
            backbones.create("timm_network", {"model": name}, 64, seed=0)


def test_tables_that_padding_would_outgrow_are_refused_before_the_file_is_looked_for():
    with pytest.raises(backbones.LoadError, match="stride of 64 does not divide"):
        backbones.load("timm:levit_128s.fb_dist_in1k")


def test_other_families_keep_their_names():
    assert architecture("vit_tiny_patch16_224.augreg_in21k")["format"] == "timm"
    for other in (
        "test_resnet.r160_in1k",
        "vit_dpwee_patch16_reg1_gap_256.sbb_in1k",  # two branches in a block
        "vit_dwee_patch16_reg1_gap_256.sbb_in1k",  # differential attention
        "vit_tiny_r_s16_p8_224.augreg_in21k",  # patches of a ResNet's map
        "beit3_base_patch16_224.indomain_in22k_ft_in1k",  # norms within the layers
    ):
        assert architecture(other)["format"].name == "timm_network", other


def test_the_hash_covers_running_means_too(written):
    """They are as much of the file as any weight: an encoder with others is another encoder."""
    written("test_resnet.r160_in1k")
    backbone = backbones.load("timm:test_resnet.r160_in1k", input_size=64)
    before = backbone.parameters_sha256()
    means = [name for name in backbone.state_dict() if name.endswith("running_mean")]
    backbone.state_dict()[means[0]].add_(1.0)
    assert backbone.parameters_sha256() != before == backbone.loaded_sha256
