"""EVA-02: files under its authors' names give its network, which is written out here once more."""

import pytest
import timm
import torch
from timm.models.eva import Eva, checkpoint_filter_fn
from torch.nn import functional

import backbones
from backbones.formats.eva02 import CLIP_MEAN, CLIP_STD
from backbones.timm_names import architecture
from tests.backbones.damage import refused_or_the_same
from tests.backbones.rotary_networks import eva02, eva02_turns

ARCH = {"embed_dim": 24, "depth": 2, "patch_size": 8, "num_heads": 3, "mlp_hidden": 20}
KINDS = {
    "base": {},
    "tiny": {"mlp": "swiglu", "mlp_norm": False, "qkv_apart": False},
}
THEIRS = {
    "fc1_g.": "w1.", "fc1_x.": "w2.", "fc1.": "w12.", "fc2.": "w3.", "mlp.norm.": "mlp.ffn_ln.",
    "q_proj.bias": "q_bias", "v_proj.bias": "v_bias", "encoder.": "", "decoder.": "",
}  # fmt: skip


def published(backbone, tables=True):
    """The state dict that baaivision/EVA would write of an encoder."""
    tensors = {}
    for name, value in backbone.state_dict().items():
        for ours, theirs in THEIRS.items():
            name = name.replace(ours, theirs)
        tensors[name] = value
    if tables:
        arch = backbone.spec.arch
        angles = eva02_turns(backbone.grid[0], arch["rope_grid"][0], arch["embed_dim"] // 3)
        angles = angles.float().repeat_interleave(2, dim=1)
        for prefix in ("", *(f"blocks.{i}.attn." for i in range(2))):
            tensors[f"{prefix}rope.freqs_cos"] = angles.cos()
            tensors[f"{prefix}rope.freqs_sin"] = angles.sin()
    return tensors


@pytest.fixture
def new():
    """A new encoder, its values far from where they begin."""

    def build(kind="base", size=32, **options):
        arch = ARCH | KINDS[kind] | options.pop("arch", {})
        backbone = backbones.create("eva", arch, size, 0, mean=CLIP_MEAN, std=CLIP_STD, **options)
        random = torch.Generator().manual_seed(1)
        for parameter in backbone.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=random)
        backbone.seal()
        return backbone

    return build


@pytest.fixture(params=KINDS)
def pretrained(request, new, tmp_path):
    """An encoder with its pre-training head, and its file."""
    backbone = new(request.param, keep=("decoder",), arch={"target_dim": 10})
    tensors = published(backbone)
    tensors = {n: v for n, v in tensors.items() if not n.startswith("fc_norm")}
    torch.save({"module": tensors}, tmp_path / "eva02_pt.pt")
    return backbone, tmp_path / "eva02_pt.pt", tensors


@pytest.mark.parametrize("tables", [True, False])
def test_pretrained(pretrained, tables, tmp_path, close):
    _, path, tensors = pretrained
    if not tables:
        tensors = {name: value for name, value in tensors.items() if "rope" not in name}
        path = tmp_path / "without.pt"
        torch.save({"model": tensors}, path)
    arch = {} if tables else {"num_heads": 3, "rope_grid": 4}
    backbone = backbones.load(path, arch=arch, keep=("decoder",))
    report = backbone.key_report
    assert report.format == "eva02"
    assert dict(report.dropped) == (
        {"sines and cosines of positions": tuple(n for n in tensors if "rope" in n)}
        if tables
        else {}
    )
    assert report.created == ("fc_norm.bias", "fc_norm.weight")
    assert backbone.spec.arch["rope_grid"] == (4, 4)
    images = torch.rand(2, 3, 32, 32)
    expected = eva02(tensors, (images - backbone.mean) / backbone.std, 4)
    for found, reference in zip(backbone.blocks(images), expected, strict=True):
        assert close(found.double(), reference)
    last = expected[-1][:, 1:]
    mean = functional.layer_norm(last.mean(1), (24,), eps=1e-6)
    assert close(backbone.pooled(images).double(), mean)
    normed = functional.layer_norm(
        last, (24,), tensors["norm.weight"].double(), tensors["norm.bias"].double(), 1e-6
    )
    assert close(backbone.encode(images).flatten(2).transpose(1, 2).double(), normed)


def test_masked(pretrained, close):
    written, path, tensors = pretrained
    backbone = backbones.load(path, keep=("decoder",))
    images, mask = torch.rand(2, 3, 32, 32), torch.rand(2, 4, 4) > 0.5
    features, predicted = backbone.masked(images, mask)
    assert predicted.shape == (2, 10, 4, 4)
    assert close(predicted, written.masked(images, mask)[1])
    weight, bias = tensors["lm_head.weight"], tensors["lm_head.bias"]
    assert close(predicted.movedim(1, -1), features.movedim(1, -1) @ weight.T + bias)
    painted = torch.where(mask.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None], 0, images)
    assert torch.equal(backbone.masked(painted, mask)[1], predicted)


@pytest.mark.parametrize("kind", KINDS)
def test_fine_tuned_at_another_size(kind, new, tmp_path, close):
    """448 px after 224 px: rotary positions stay those of the grid of pre-training."""
    arch = {"num_classes": 5, "final_norm": False, "rope_grid": 4}
    written = new(kind, 64, keep=("head",), arch=arch)
    tensors = published(written)
    torch.save({"model": tensors}, tmp_path / "eva02_ft.pt")
    backbone = backbones.load(tmp_path / "eva02_ft.pt", keep=("head",))
    assert backbone.spec.arch["rope_grid"] == (4, 4)
    assert backbone.spec.arch["image_size"] == (64, 64)
    assert backbone.spec.objective == "supervised"
    assert not backbone.key_report.created
    images = torch.rand(2, 3, 64, 64)
    tokens = eva02(tensors, (images - backbone.mean) / backbone.std, 4)[-1][:, 1:].mean(1)
    normed = functional.layer_norm(
        tokens, (24,), tensors["fc_norm.weight"].double(), tensors["fc_norm.bias"].double(), 1e-6
    )
    logits = normed @ tensors["head.weight"].double().T + tensors["head.bias"].double()
    assert close(backbone.logits(images).double(), logits)


def test_drop_last(pretrained):
    whole, short = (backbones.load(pretrained[1], drop_last=n) for n in (0, 1))
    images = torch.rand(1, 3, 32, 32)
    [last] = short.blocks(images)
    assert torch.equal(last, whole.blocks(images)[0])
    assert short.last_layer == 2
    assert short.layer_ids()["encoder.blocks.0.attn.proj.weight"] == 1
    assert short.layer_ids()["encoder.cls_token"] == 0


def test_other_sizes(pretrained, close):
    """The rule of run_class_finetuning.py: bicubic without antialiasing, positions spread out."""
    _, path, tensors = pretrained
    backbone = backbones.load(path, input_size=(48, 20))
    grid = tensors["pos_embed"][:, 1:].reshape(1, 4, 4, 24).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(6, 3), mode="bicubic")
    assert torch.equal(backbone.encoder.pos_embed[:, 1:], grid.permute(0, 2, 3, 1).flatten(1, 2))
    square = backbones.load(path, input_size=48)
    resized = {**tensors, "pos_embed": square.encoder.pos_embed}
    images = torch.rand(1, 3, 48, 48)
    expected = eva02(resized, (images - square.mean) / square.std, 4)[-1]
    assert close(square.blocks(images)[-1].double(), expected)
    own = backbones.load(path, input_size=32)
    assert torch.equal(own.encoder.pos_embed, tensors["pos_embed"])
    assert not own.key_report.converted


def test_tables_of_half_precision_tell_as_much(pretrained, tmp_path):
    _, _, tensors = pretrained
    torch.save({"model": {n: v.half() for n, v in tensors.items()}}, tmp_path / "half.pt")
    assert backbones.load(tmp_path / "half.pt").spec.arch["rope_grid"] == (4, 4)


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("rope.freqs_cos", lambda v: v[:-1], "has shape"),
        ("rope.freqs_cos", lambda v: v[:9], "of a 3x3 grid, and pos_embed of another"),
        ("blocks.1.attn.rope.freqs_sin", lambda v: v + 0.1, "is not the table of a 4x4 grid"),
        ("blocks.0.attn.rope.freqs_cos", lambda v: v[:, :4], "is not the table of a 4x4 grid"),
    ],
)
def test_tables_of_another_rule_are_refused(pretrained, tmp_path, refused, name, change, match):
    _, _, tensors = pretrained
    changed = {n: change(v) if n == name else v for n, v in tensors.items()}
    if match.startswith("of a 3x3"):
        changed["rope.freqs_sin"] = change(tensors["rope.freqs_sin"])
    torch.save({"model": changed}, tmp_path / "odd.pt")
    refused(tmp_path / "odd.pt", match)


@pytest.mark.parametrize("kind", KINDS)
def test_timm(kind, tmp_path, close):
    """Under timm's names; with its classifier, and at another size of timm's own."""
    torch.manual_seed(0)
    options = {"qkv_fused": False, "scale_mlp": True} if kind == "base" else {}
    model = Eva(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=5,
        mlp_ratio=8 / 3, swiglu_mlp=True, use_rot_pos_emb=True, ref_feat_shape=(3, 3), **options,
    ).eval()  # fmt: skip
    for parameter in model.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    torch.save(model.state_dict(), tmp_path / "eva.pth")
    arch = {"num_heads": 3, "rope_grid": 3}
    backbone = backbones.load(tmp_path / "eva.pth", arch=arch, keep=("head",))
    assert (backbone.key_report.format, backbone.spec.family) == ("timm", "eva")
    images = torch.rand(2, 3, 32, 32)
    normalised = (images - backbone.mean) / backbone.std
    assert close(backbone.logits(images), model(normalised))
    published_rule = backbones.load(tmp_path / "eva.pth", arch={"num_heads": 3})
    assert not close(published_rule.encode(images), backbone.encode(images))
    assert any("16x16 grid" in note for note in published_rule.spec.notes)
    theirs = model.forward_intermediates(normalised, output_fmt="NLC", intermediates_only=True)
    for found, reference in zip(backbone.blocks(images), theirs, strict=True):
        assert close(found[:, 1:], reference)


@pytest.mark.parametrize("kind", KINDS)
def test_timm_reads_the_published_file_alike(kind, new, tmp_path, close):
    """By its own table of names, at the size of the file."""
    written = new(kind, keep=("head",), arch={"num_classes": 5, "final_norm": False})
    tensors = published(written)
    torch.save({"model": tensors}, tmp_path / "eva02.pt")
    options = {"qkv_fused": False, "scale_mlp": True} if kind == "base" else {}
    model = Eva(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=5,
        mlp_ratio=20.5 / 24, swiglu_mlp=True, use_rot_pos_emb=True, ref_feat_shape=(4, 4),
        **options,
    ).eval()  # fmt: skip
    model.load_state_dict(checkpoint_filter_fn({"model": tensors}, model))
    images = torch.rand(2, 3, 32, 32)
    backbone = backbones.load(tmp_path / "eva02.pt", keep=("head",))
    assert close(backbone.logits(images), model((images - backbone.mean) / backbone.std))


def test_the_first_eva_is_a_beit(tmp_path, close):
    torch.manual_seed(0)
    model = Eva(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=5).eval()
    for parameter in model.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    torch.save(model.state_dict(), tmp_path / "eva.pth")
    backbone = backbones.load(tmp_path / "eva.pth", arch={"num_heads": 3}, keep=("head",))
    images = torch.rand(2, 3, 32, 32)
    assert backbone.spec.family == "beit"
    assert close(backbone.logits(images), model((images - backbone.mean) / backbone.std))


def test_timm_names(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    name = "eva02_tiny_patch14_336.mim_in22k_ft_in1k"
    model = timm.create_model(name)
    torch.save(model.state_dict(), tmp_path / "checkpoints" / f"{name}.pth")
    backbone = backbones.load(f"timm:{name}", keep=("head",), drop_last=9)
    assert backbone.spec.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert (backbone.input_size, backbone.spec.arch["rope_grid"]) == ((336, 336), (16, 16))
    with pytest.raises(backbones.LoadError, match=r"put them there as .*dinov3"):
        backbones.load("timm:vit_small_patch16_dinov3.lvd1689m")
    for other in ("vit_base_patch16_rope_224.naver_in1k", "vit_pe_core_tiny_patch16_384.fb"):
        # Queries, positions and tokens of another kind: timm's own network.
        with pytest.raises(backbones.LoadError, match=f"put them there as {other}"):
            backbones.load(f"timm:{other}")
        assert architecture(other)["format"].name == "timm_network"


def test_damaged_files_are_refused(pretrained, tmp_path, refused):
    _, _, tensors = pretrained
    bare = {name: value for name, value in tensors.items() if "rope" not in name}
    name = "blocks.1.mlp.w3.weight"
    mutants = {
        "not in the file: .*fc2": {n: v for n, v in bare.items() if n != name},
        "not in the model: .*w4": bare | {"blocks.1.mlp.w4.weight": bare[name]},
        "other shape: .*fc2": bare | {name: bare[name].T.contiguous()},
        "infinite or missing": bare | {name: torch.full_like(bare[name], torch.nan)},
    }
    for match, state in mutants.items():
        torch.save({"model": state}, tmp_path / "mutant.pt")
        refused(tmp_path / "mutant.pt", match, arch={"num_heads": 3})


@pytest.mark.parametrize(
    ("arch", "match"),
    [
        ({"num_heads": 8}, "width divisible by 4, got 24 / 8 = 3"),
        ({"rope": "axial"}, "rope: expected eva02 or dinov3"),
        ({"mlp": "swiglu"}, "mlp_norm: expected false"),
        ({"qkv_bias": "all"}, "expected none or query_value"),
    ],
)
def test_wrong_fields(arch, match):
    with pytest.raises(backbones.LoadError, match=match):
        backbones.create("eva", ARCH | arch, 32, 0)


def test_one_tensor_less_or_of_another_name(pretrained, tmp_path):
    _, _, tensors = pretrained
    assert refused_or_the_same(tmp_path / "mutant.pt", tensors) >= 10
