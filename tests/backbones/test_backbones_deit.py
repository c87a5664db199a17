"""DeiT equals the reference implementation's outputs (facebookresearch/deit)."""

import pytest
import timm
import torch
from torch.nn import functional

import backbones

HEADS = {"num_heads": 2}


@pytest.fixture(scope="module")
def backbone(published):
    return backbones.load(published("deit")[0], arch=HEADS, keep=("head",))


def test_features_and_logits(backbone, published, pixels, close):
    outputs = published("deit")[1]
    images = pixels(backbone, outputs["image"])
    assert close(torch.stack(backbone.blocks(images)), outputs["block_outputs"])
    assert close(backbone.pooled(images), outputs["cls_norm"])
    assert close(backbone.logits(images), outputs["logits"])
    normed = backbone.encoder.norm(outputs["block_outputs"][-1])
    assert close(backbone.encode(images), backbone.as_map(normed))


def test_every_tensor_is_accounted_for(published):
    report = backbones.load(published("deit")[0], arch=HEADS).key_report
    assert report.format == "deit"
    assert dict(report.dropped) == {"classifier, not kept": ("head.weight", "head.bias")}
    assert report.total == len(report.used) + 2


def test_other_size_without_antialias(backbone, published):
    """The rule of DeiT's fine-tuning code (main.py), written out once more."""
    table = backbone.encoder.pos_embed
    grid = table[:, 1:].reshape(1, 6, 6, 32).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(4, 8), mode="bicubic", align_corners=False)
    expected = torch.cat([table[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
    resized = backbones.load(published("deit")[0], input_size=(32, 64), arch=HEADS)
    assert torch.equal(resized.encoder.pos_embed, expected)


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    """timm's distilled DeiT, which equals the reference's, and a file of it."""
    from timm.models.deit import VisionTransformerDistilled

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VisionTransformerDistilled(
            img_size=48, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10
        ).eval()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    path = tmp_path_factory.mktemp("deit") / "distilled.pth"
    torch.save({"model": model.state_dict()}, path)
    return model, path


def test_distilled(distilled, pixels, close):
    model, path = distilled
    backbone = backbones.load(path, arch=HEADS, keep=("head",))
    assert backbone.key_report.format == "deit"
    images = torch.rand(2, 3, 48, 48)
    tokens = model.forward_features((images - backbone.mean) / backbone.std)
    assert close(backbone.encode(images), tokens[:, 2:].transpose(1, 2).unflatten(2, (6, 6)))
    assert close(backbone.pooled(images), tokens[:, 0])
    assert close(
        backbone.logits(images), (model.head(tokens[:, 0]) + model.head_dist(tokens[:, 1])) / 2
    )
    assert backbone.layer_ids()["encoder.dist_token"] == 0
    assert "encoder.dist_token" in backbone.no_decay_names()
    dropped = backbones.load(path, arch=HEADS, input_size=64).key_report.dropped
    assert set(dropped["classifier, not kept"]) == {
        f"{head}.{leaf}" for head in ("head", "head_dist") for leaf in ("weight", "bias")
    }


def test_distilled_survives_saving(distilled, tmp_path):
    backbone = backbones.load(distilled[1], arch=HEADS, keep=("head",))
    backbones.save(backbone, tmp_path / "own.safetensors", {}, dtype=torch.float32)
    again = backbones.load(tmp_path / "own.safetensors", keep=("head",))
    images = torch.rand(1, 3, 48, 48)
    assert torch.equal(again.logits(images), backbone.logits(images))
    again.initialise(0)
    assert again.encoder.dist_token.std() > 0.01


def test_deit_3(tmp_path, close):
    """Layer scale under other names, and a position table without a row for the class token."""
    model = timm.models.VisionTransformer(
        img_size=48, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10,
        no_embed_class=True, init_values=0.5,
    ).eval()  # fmt: skip
    state = {
        name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): value
        for name, value in model.state_dict().items()
    }
    torch.save({"model": state}, tmp_path / "deit3.pth")
    backbone = backbones.load(tmp_path / "deit3.pth", arch=HEADS, keep=("head",))
    assert backbone.key_report.format == "deit"
    images = torch.rand(1, 3, 48, 48)
    assert close(backbone.logits(images), model((images - backbone.mean) / backbone.std))


def test_a_fine_tuned_mae_is_not_taken_for_deit(published, tmp_path, refused):
    state = dict(torch.load(published("deit")[0], weights_only=True)["model"])
    state |= {f"fc_norm.{leaf}": state.pop(f"norm.{leaf}") for leaf in ("weight", "bias")}
    torch.save({"model": state}, tmp_path / "mae.pth")
    backbone = backbones.load(tmp_path / "mae.pth", arch=HEADS)
    assert (backbone.key_report.format, backbone.spec.arch["pool"]) == ("timm", "mean_fc_norm")
    refused(
        tmp_path / "mae.pth", "backbone.position_resize=bicubic_offset", arch=HEADS, input_size=64
    )
