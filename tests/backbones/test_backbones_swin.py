"""Swin equals the reference implementations' outputs (microsoft/SimMIM, Swin-Transformer)."""

import pytest
import torch

import backbones
from backbones import files
from tests.backbones.stages import checkpoint, masked_agree, outputs, unmasked_agree

SIMMIM, SUPERVISED = checkpoint("simmim_swin"), checkpoint("swin_supervised")


def test_simmim(pixels, close):
    backbone, reference = backbones.load(SIMMIM, keep=("decoder",)), outputs("simmim_swin")
    images = pixels(backbone, reference["image"])
    unmasked_agree(backbone, reference, images, close)
    masked_agree(backbone, reference, images, close)
    assert close(backbone.pooled(images), reference["finetune_pooled"])


def test_simmim_at_another_size_has_larger_windows(pixels, close):
    backbone, reference = backbones.load(SIMMIM, input_size=128), outputs("simmim_swin")
    images = pixels(backbone, reference["image_resized"])
    for i, found in enumerate(backbone(images)):
        assert close(found, reference[f"resized_stage{i}_pre_downsample"])
    assert close(backbone.pooled(images), reference["resized_finetune_pooled"])
    for stage in (0, 3):
        table = backbone.encoder.layers[stage].blocks[0].attn.relative_position_bias_table
        expected = reference[f"resized_relative_position_bias_table_{stage}_0"]
        assert torch.equal(table, expected)
    assert set(backbone.key_report.converted) == {
        "bias table 6x6 to 8x8 by geometric spline",
        "bias table 3x3 to 4x4 by geometric spline",
    }


def test_supervised(pixels, close):
    backbone, reference = backbones.load(SUPERVISED, keep=("head",)), outputs("swin_supervised")
    images = pixels(backbone, reference["image"])
    unmasked_agree(backbone, reference, images, close)
    assert close(backbone.pooled(images), reference["pooled"])
    assert close(backbone.logits(images), reference["logits"])


def test_what_the_files_tell():
    simmim, supervised = backbones.load(SIMMIM), backbones.load(SUPERVISED)
    assert simmim.spec.arch["trained_window"] == (6, 6, 6, 3)
    assert supervised.spec.arch["trained_window"] == (4, 4, 4, 2)
    assert (simmim.input_size, supervised.input_size) == ((96, 96), (64, 64))
    assert simmim.feature_info == ((4, 4), (8, 8), (16, 16), (32, 32))
    assert (simmim.spec.objective, supervised.spec.objective) == ("simmim", "supervised")
    assert simmim.key_report.line() == (
        "simmim_swin: 118 tensors, 106 used, 9 dropped (index buffer), "
        "3 dropped (decoder and mask token, not kept)"
    )
    assert not any("image_size" in note for note in simmim.spec.notes)


def test_without_buffers_the_size_is_that_of_the_published_files(tmp_path):
    tensors = {
        name: value
        for name, value in files.read(SUPERVISED).tensors.items()
        if not name.endswith(("attn_mask", "relative_position_index"))
    }
    torch.save({"model": tensors}, tmp_path / "bare.pth")
    backbone = backbones.load(tmp_path / "bare.pth")
    assert backbone.input_size == (64, 64)
    assert any(note.startswith("image_size=64") for note in backbone.spec.notes)
    whole = backbones.load(SUPERVISED)
    assert backbone.parameters_sha256() == whole.parameters_sha256()


def sides(backbone):
    return tuple(stage.blocks[0].windows.side for stage in backbone.encoder.layers)


@pytest.mark.parametrize(("options", "expected"), [
    ({}, (6, 6, 6, 3)),
    ({"input_size": 128}, (8, 8, 8, 4)),
    ({"input_size": (128, 256)}, (8, 8, 8, 4)),
    ({"input_size": 128, "arch": {"window_size": 6}}, (6, 6, 6, 4)),
    ({"input_size": 192, "arch": {"window_size": [6, 6, 12, 0]}}, (6, 6, 12, 6)),
    ({"input_size": 128, "arch": {"window_rule": "fixed"}}, (6, 6, 6, 3)),
])  # fmt: skip
def test_windows_of_simmim(options, expected):
    assert sides(backbones.load(SIMMIM, **options)) == expected


@pytest.mark.parametrize(("size", "expected"), [
    (64, (4, 4, 4, 2)), (128, (4, 4, 4, 2)), ((64, 160), (4, 4, 4, 2))
])  # fmt: skip
def test_supervised_keeps_its_windows(size, expected):
    assert sides(backbones.load(SUPERVISED, input_size=size)) == expected


def test_same_size_changes_nothing():
    explicit = backbones.load(SIMMIM, input_size=(96, 96))
    assert explicit.parameters_sha256() == backbones.load(SIMMIM).parameters_sha256()
    assert not explicit.key_report.converted


@pytest.mark.parametrize("name", [
    "encoder.layers.1.blocks.1.attn.relative_position_bias_table",
    "encoder.layers.0.downsample.norm.bias",
    "encoder.layers.3.blocks.0.attn.qkv.bias",
    "encoder.norm.weight",
])  # fmt: skip
def test_a_missing_tensor_is_refused(refused, tmp_path, name):
    tensors = dict(files.read(SIMMIM).tensors)
    del tensors[name]
    torch.save({"model": tensors}, tmp_path / "less.pth")
    renamed = name.replace("layers.0.downsample", "layers.1.downsample")
    refused(tmp_path / "less.pth", renamed.removeprefix("encoder.").replace(".", r"\."))


def test_tables_of_no_square_window_are_refused(refused, tmp_path):
    tensors = dict(files.read(SIMMIM).tensors)
    name = "encoder.layers.1.blocks.0.attn.relative_position_bias_table"
    tensors[name] = tensors[name][:-1]
    torch.save({"model": tensors}, tmp_path / "table.pth")
    refused(tmp_path / "table.pth", "has 120 rows, expected those of a square window")


def test_wrong_fields(refused):
    refused(
        SIMMIM, "window_size: expected one number, or one for each", arch={"window_size": [1, 2]}
    )
    refused(SIMMIM, "window_rule: expected fixed or", arch={"window_rule": "grown"})
    refused(SIMMIM, "drop_last: expected 0 to 1 of the 2 blocks of stage 3", drop_last=2)
    refused(SUPERVISED, "has no decoder to keep", keep=("decoder",))
