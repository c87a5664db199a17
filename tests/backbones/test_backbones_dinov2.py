"""DINOv2 equals the reference implementation's outputs (facebookresearch/dinov2)."""

import pytest
import timm
import torch
from timm.layers import SwiGLUPacked
from torch.nn import functional

import backbones

HEADS = {"num_heads": 2}


@pytest.fixture(scope="module")
def backbone(published):
    return backbones.load(published("dinov2")[0], arch=HEADS, keep=("decoder",))


def state(published):
    return dict(torch.load(published("dinov2")[0], weights_only=True))


def test_features_with_registers(backbone, published, pixels, close):
    outputs = published("dinov2")[1]
    images = pixels(backbone, outputs["image"])
    blocks = backbone.blocks(images)
    assert close(torch.stack(blocks), outputs["block_outputs"])
    assert close(backbone.pooled(images), outputs["cls_norm"])
    assert close(backbone.encoder.norm(blocks[-1])[:, 1:5], outputs["reg_norm"])
    assert close(backbone.encode(images).flatten(2).transpose(1, 2), outputs["patch_norm"])


def test_masked_features(backbone, published, pixels, close):
    outputs = published("dinov2")[1]
    mask = outputs["mask"].bool().view(1, 7, 7)
    features, nothing = backbone.masked(pixels(backbone, outputs["image"]), mask)
    assert close(features.flatten(2).transpose(1, 2), outputs["masked_patch_norm"])
    assert nothing.shape == (1, 0, 7, 7)


def test_other_size_with_registers(published, pixels, close):
    path, outputs = published("dinov2")
    backbone = backbones.load(path, input_size=(70, 112), arch=HEADS)
    images = pixels(backbone, outputs["image_rect"])
    assert close(backbone.encoder.pos_embed, outputs["rect_pos_embed"])
    assert close(backbone.pooled(images), outputs["rect_cls_norm"])
    assert close(backbone.encode(images), outputs["rect_intermediate"])
    assert close(backbone.encode(images).flatten(2).transpose(1, 2), outputs["rect_patch_norm"])


def test_other_size_without_registers(published, tmp_path):
    """The rule of dinov2/hub/backbones.py for these: offset 0.1 and no antialiasing."""
    tensors = state(published)
    del tensors["register_tokens"]
    torch.save(tensors, tmp_path / "plain.pth")
    backbone = backbones.load(tmp_path / "plain.pth", input_size=(70, 112), arch=HEADS)
    assert backbone.key_report.format == "dinov2"
    grid = tensors["pos_embed"][:, 1:].reshape(1, 7, 7, 32).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, scale_factor=(5.1 / 7, 8.1 / 7), mode="bicubic")
    expected = grid.permute(0, 2, 3, 1).flatten(1, 2)
    assert torch.equal(backbone.encoder.pos_embed[:, 1:], expected)


def test_every_tensor_is_accounted_for(published):
    report = backbones.load(published("dinov2")[0], arch=HEADS).key_report
    assert report.format == "dinov2"
    assert dict(report.dropped) == {"decoder and mask token, not kept": ("mask_token",)}
    assert report.total == len(report.used) + 1
    assert not report.created


def test_gated_layers(tmp_path, close):
    """Against timm's network, as timm converts the published ViT-g: w12 is fc1, w3 is fc2."""
    model = timm.models.VisionTransformer(
        img_size=28, patch_size=14, embed_dim=24, depth=2, num_heads=2, num_classes=0,
        init_values=1.0, mlp_ratio=64 / 24, mlp_layer=SwiGLUPacked, global_pool="",
        act_layer=torch.nn.SiLU,
    ).eval()  # fmt: skip
    tensors = {
        name.replace("fc1", "w12").replace("fc2", "w3"): value
        for name, value in model.state_dict().items()
    }
    torch.save(tensors | {"mask_token": torch.zeros(1, 24)}, tmp_path / "giant.pth")
    backbone = backbones.load(tmp_path / "giant.pth", arch=HEADS)
    assert backbone.spec.arch["swiglu"]
    images = torch.rand(1, 3, 28, 28)
    tokens = model((images - backbone.mean) / backbone.std)
    assert close(backbone.pooled(images), tokens[:, 0])
    # The published layer, SwiGLUFFN, written out.
    layer, inputs = backbone.encoder.blocks[0].mlp, torch.randn(2, 5, 24)
    gate, value = layer.fc1(inputs).chunk(2, dim=-1)
    assert close(layer(inputs), layer.fc2(functional.silu(gate) * value))
    backbones.save(backbone, tmp_path / "own.safetensors", {}, dtype=torch.float32)
    again = backbones.load(tmp_path / "own.safetensors")
    assert torch.equal(again.encode(images), backbone.encode(images))


def test_gated_layers_of_an_odd_width_are_refused(published, tmp_path, refused):
    tensors = state(published)
    for i in range(2):
        tensors[f"blocks.{i}.mlp.w12.weight"] = tensors.pop(f"blocks.{i}.mlp.fc1.weight")[:127]
    torch.save(tensors, tmp_path / "odd.pth")
    refused(tmp_path / "odd.pth", "even number for SwiGLU, got 127", arch=HEADS)


def test_a_teacher_of_a_training_file(published, backbone, tmp_path):
    """Key names alone: chunked blocks, and heads beside the encoder."""
    tensors = {
        f"backbone.{name.replace('blocks.', 'blocks.0.')}": value
        for name, value in state(published).items()
    }
    heads = {"dino_head.mlp.0.weight": torch.ones(3), "ibot_head.mlp.0.weight": torch.ones(3)}
    torch.save({"teacher": tensors | heads}, tmp_path / "teacher_checkpoint.pth")
    teacher = backbones.load(tmp_path / "teacher_checkpoint.pth", arch=HEADS)
    assert teacher.parameters_sha256() == backbone.parameters_sha256()
    assert set(teacher.key_report.dropped["projection head"]) == set(heads)
