"""timm's Swin and SwinV2 against its own networks, by `timm:` name and by content."""

import re

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    register_model,
    swin_transformer,
    swin_transformer_v2,
)

import backbones
from backbones import files
from backbones.families.stage_arch import StageArch
from backbones.timm_names import architecture
from tests.backbones.stages import checkpoint, outputs

FIRST, SECOND = swin_transformer.SwinTransformer, swin_transformer_v2.SwinTransformerV2
SHAPE = {"img_size": 64, "embed_dim": 8, "depths": (2, 2, 2), "num_heads": (1, 2, 4),
         "window_size": 8}  # fmt: skip
NETWORKS = {
    "tiny_swin": (FIRST, SHAPE),
    "tiny_swin_by_stage": (FIRST, SHAPE | {"window_size": (2, 4, 2), "qkv_bias": False}),
    "tiny_swinv2": (SECOND, SHAPE | {"pretrained_window_sizes": (0, 0, 0)}),
    "tiny_swinv2_tuned": (SECOND, SHAPE | {"pretrained_window_sizes": (3, 3, 2)}),
}
"""Maps have 16, 8 and 4 cells a side: windows of 8 shift in the first, and shrink in the last."""


class Stem(timm.layers.PatchEmbed):
    """A patch embedding of somebody else's."""


REFUSED = {
    "tiny_swin_padded": (FIRST, SHAPE | {"window_size": 5}),
    "tiny_swin_partitioned": (FIRST, SHAPE | {"always_partition": True}),
    "tiny_swin_narrow": (FIRST, SHAPE | {"head_dim": 4}),
    "tiny_swin_maximum": (FIRST, SHAPE | {"global_pool": "max"}),
    "tiny_swin_oblong": (FIRST, SHAPE | {"img_size": (64, 32), "window_size": 4}),
    "tiny_swin_steps": (FIRST, SHAPE | {"mlp_ratio": (4, 4, 2)}),
    "tiny_swin_stem": (FIRST, SHAPE | {"embed_layer": Stem}),
    "tiny_swin_windows": (FIRST, SHAPE | {"window_size": (4, 2)}),
    "tiny_swin_norm": (FIRST, SHAPE | {"norm_layer": timm.layers.RmsNorm}),
    "tiny_swinv2_relu": (
        SECOND,
        SHAPE | {"act_layer": "relu", "pretrained_window_sizes": (0,) * 3},
    ),
    "tiny_swinv2_padded": (
        SECOND,
        SHAPE | {"always_partition": True, "pretrained_window_sizes": (0,) * 3},
    ),
}
"""Networks that the families do not build."""

_CFG = {"input_size": (3, 64, 64), "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3),
        "num_classes": 5, "classifier": "head.fc", "fixed_input_size": True}  # fmt: skip
default_cfgs = generate_default_cfgs(dict.fromkeys([*NETWORKS, *REFUSED], _CFG) | {
    "tiny_swin_oblong": _CFG | {"input_size": (3, 64, 32)},
})  # fmt: skip


def _register(name, kind, shape):
    def network(pretrained=False, **kwargs):
        return build_model_with_cfg(kind, name, pretrained, **shape | kwargs)

    network.__name__, network.__module__ = name, __name__
    register_model(network)


for _name, _parts in (NETWORKS | REFUSED).items():
    _register(_name, *_parts)


@pytest.fixture(params=NETWORKS)
def name(request):
    return request.param


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes a network with random weights as timm's file of that name."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()

    def write(name):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = timm.create_model(name).eval()
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn_like(parameter)
        path = tmp_path / "checkpoints" / f"{name}.safetensors"
        save_file(model.state_dict(), path)
        return model, path

    return write


def _images(backbone):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, *backbone.input_size, generator=generator)
    return images, (images - backbone.mean) / backbone.std


def _told(name):
    """What is to be said of a bare file: a SwinV2's does not tell its windows."""
    kind, shape = NETWORKS[name]
    if kind is FIRST:
        return {"image_size": 64}
    before = {n: v for n, v in architecture(name).items() if n == "pretrained_window_size"}
    return {"image_size": 64, "window_size": shape["window_size"], **before}


def test_outputs_are_those_of_timm(name, written, tmp_path, close):
    model, path = written(name)
    backbone = backbones.load(f"timm:{name}", keep=("head",))
    assert backbone.spec.family == ("swin" if NETWORKS[name][0] is FIRST else "swinv2")
    assert backbone.key_report.format == "timm_swin"
    assert backbone.spec.mean == pytest.approx(_CFG["mean"])
    images, normed = _images(backbone)
    maps = model.forward_intermediates(normed, intermediates_only=True)
    features = model.forward_features(normed)
    for ours, theirs in zip(backbone(images), maps, strict=True):
        assert close(ours, theirs)
    assert close(backbone.encode(images), features.permute(0, 3, 1, 2))
    assert close(backbone.pooled(images), model.forward_head(features, pre_logits=True))
    assert close(backbone.logits(images), model(normed))

    bare = backbones.load(path, arch=_told(name), keep=("head",))
    assert bare.key_report.format == "timm_swin"
    assert bare.loaded_sha256 == backbone.loaded_sha256
    again = backbones.load(path, arch=_told(name) | {"mean": _CFG["mean"], "std": _CFG["std"]})
    assert torch.equal(again.encode(images), backbone.encode(images))

    backbones.save(backbone, tmp_path / "ours.safetensors", {}, torch.float32)
    saved = backbones.load(tmp_path / "ours.safetensors", keep=("head",))
    assert saved.loaded_sha256 == backbone.loaded_sha256
    assert torch.equal(saved.logits(images), backbone.logits(images))


@pytest.mark.parametrize("name", ["tiny_swin", "tiny_swinv2"])
def test_what_a_family_gives_beyond_timm(name, written):
    written(name)
    backbone = backbones.load(f"timm:{name}", drop_last=1)
    images, _ = _images(backbone)
    assert backbone.spec.arch["depths"] == (2, 1, 2)
    seen = list(backbone.attention(images))
    assert [each.stage for each in seen] == [0, 0, 1, 2, 2]
    assert all(torch.allclose(each.probabilities.sum(-1), torch.ones(())) for each in seen)
    larger = backbones.load(f"timm:{name}", input_size=(96, 80))
    assert larger.encode(torch.rand(1, 3, 96, 80)).shape == (1, 32, 6, 5)


def test_buffers_of_older_versions_tell_windows(written, tmp_path):
    model, path = written("tiny_swinv2_tuned")
    state = load_file(path)
    for i, stage in enumerate(model.layers):
        for j, block in enumerate(stage.blocks):
            prefix = f"layers.{i}.blocks.{j}"
            for leaf in ("relative_position_index", "relative_coords_table"):
                state[f"{prefix}.attn.{leaf}"] = getattr(block.attn, leaf).clone()
            if block.attn_mask is not None:
                state[f"{prefix}.attn_mask"] = block.attn_mask.clone()
    save_file(state, tmp_path / "older.safetensors")
    older = backbones.load(tmp_path / "older.safetensors")
    named = backbones.load("timm:tiny_swinv2_tuned")
    for key in ("image_size", "trained_window", "pretrained_window_size"):
        assert older.spec.arch[key] == named.spec.arch[key]
    assert len(older.key_report.dropped["index buffer"]) == 2 * 6 + 1
    assert older.loaded_sha256 == named.loaded_sha256


def _named(key):
    """What a refusal says of a tensor, or of the others like the first one that is missing."""
    leaf = ".".join(key.replace("head.fc.", "head.").split(".")[-2:])
    return re.escape(leaf) + "|no known layout"


@pytest.mark.parametrize("name", ["tiny_swin", "tiny_swinv2_tuned"])
def test_every_tensor_is_accounted_for(name, written, tmp_path, refused):
    _, path = written(name)
    whole = load_file(path)
    path = tmp_path / "broken.safetensors"
    for key in [key for key in whole if "blocks.1." not in key][::6]:
        value = whole[key]
        rest = {n: v for n, v in whole.items() if n != key}
        for broken in (rest, whole | {f"{key}_": value.clone()}, rest | {f"{key}_": value}):
            save_file(broken, path)
            refused(path, _named(key), arch=_told(name), keep=("head",))
    merging = {n: v.clone() for n, v in whole.items() if n.startswith("layers.1.downsample.")}
    moved = {n.replace("layers.1.", "layers.2."): v for n, v in merging.items()}
    save_file(whole | moved, path)
    refused(path, "shape", arch=_told(name))


@pytest.mark.parametrize("fixture", ["swin_supervised", "simmim_swin", "simmim_swinv2"])
def test_files_of_the_authors_as_timm_converts_them(fixture, tmp_path, pixels, close):
    """timm merges the four cells in the authors' order: both give what the authors' code gave."""
    kind = SECOND if fixture == "simmim_swinv2" else FIRST
    module = swin_transformer_v2 if kind is SECOND else swin_transformer
    direct, reference = backbones.load(checkpoint(fixture)), outputs(fixture)
    arch: StageArch = direct.arch
    before = {"pretrained_window_sizes": arch.pretrained_window_size} if kind is SECOND else {}
    model = kind(arch.image_size, arch.patch_size, num_classes=arch.num_classes,
                 embed_dim=arch.embed_dim, depths=arch.depths, num_heads=arch.num_heads,
                 window_size=arch.trained_window, **before).eval()  # fmt: skip
    state = files.read(checkpoint(fixture)).tensors
    encoder = {n.removeprefix("encoder.").replace("rpe_mlp", "cpb_mlp"): v for n, v in state.items()
               if not n.startswith(("decoder.", "encoder.mask_token"))}  # fmt: skip
    model.load_state_dict(module.checkpoint_filter_fn(encoder, model))
    save_file(model.state_dict(), tmp_path / "theirs.safetensors")
    told = {} if kind is FIRST else {"window_size": arch.trained_window,
                                     "pretrained_window_size": arch.pretrained_window_size,
                                     "image_size": arch.image_size}  # fmt: skip
    backbone = backbones.load(tmp_path / "theirs.safetensors", arch=told)
    assert backbone.key_report.format == "timm_swin"
    assert backbone.parameters_sha256() == direct.parameters_sha256()
    images = pixels(backbone, reference["image"])
    assert close(backbone.encode(images), reference["feature_map"])
    features = model.forward_features((images - backbone.mean) / backbone.std)
    assert close(features.permute(0, 3, 1, 2), reference["feature_map"])


@pytest.mark.parametrize("name", REFUSED)
def test_other_variants_stay_networks_of_timm(name):
    assert architecture(name)["format"].name == "timm_network"


@pytest.mark.parametrize(("name", "size", "windows"), [
    ("swin_tiny_patch4_window7_224.ms_in1k", 224, None),
    ("swin_base_patch4_window12_384.ms_in22k", 384, None),
    ("swin_s3_small_224.ms_in1k", 224, None),
    ("swinv2_tiny_window16_256.ms_in1k", 256, [(16, 16, 16, 8)] * 2),
    ("swinv2_base_window12to24_192to384.ms_in22k_ft_in1k", 384,
     [(24, 24, 24, 12), (12, 12, 12, 6)]),
])  # fmt: skip
def test_published_names_go_to_the_families(name, size, windows):
    told = architecture(name)
    assert told["format"] == "timm_swin"
    assert told["image_size"] == (size, size)
    fields = ("trained_window", "pretrained_window_size")
    assert [told[f] for f in fields if f in told] == (windows or [])
