"""SimMIM's ViT equals the reference implementation's outputs (microsoft/SimMIM)."""

import pytest
import torch

import backbones


@pytest.fixture(scope="module")
def backbone(simmim_file):
    return backbones.load(simmim_file, keep=("decoder",))


@pytest.fixture(scope="module")
def resized(simmim_file):
    return backbones.load(simmim_file, input_size=64)


def test_features(backbone, simmim_outputs, pixels, close):
    images = pixels(backbone, simmim_outputs["image"])
    assert close(backbone.encode(images), simmim_outputs["feature_map"])
    assert close(backbone(images)[0], simmim_outputs["feature_map"])
    assert close(torch.stack(backbone.blocks(images)), simmim_outputs["block_outputs"])
    assert close(backbone.pooled(images), simmim_outputs["finetune_pooled"])


def test_masked_features_and_reconstruction(backbone, simmim_outputs, pixels, close):
    images = pixels(backbone, simmim_outputs["image"])
    features, reconstruction = backbone.masked(images, simmim_outputs["mask"].bool())
    assert close(features, simmim_outputs["masked_feature_map"])
    assert close(reconstruction, simmim_outputs["reconstruction"])


def test_loss(backbone, simmim_outputs, pixels):
    images = simmim_outputs["image"]
    mask = simmim_outputs["mask"]
    result = backbone.masked(pixels(backbone, images), mask.bool())
    hidden = mask.repeat_interleave(8, 1).repeat_interleave(8, 2).unsqueeze(1)
    difference = ((result.reconstruction - images).abs() * hidden).sum()
    loss = difference / (hidden.sum() + 1e-5) / 3
    assert loss.item() == pytest.approx(simmim_outputs["loss"].item(), rel=1e-4)


def test_other_size(resized, simmim_outputs, pixels, close):
    images = pixels(resized, simmim_outputs["image_resized"])
    table = resized.encoder.rel_pos_bias.relative_position_bias_table
    assert torch.equal(table, simmim_outputs["resized_relative_position_bias_table"])
    assert close(resized.pooled(images), simmim_outputs["resized_finetune_pooled"])
    assert close(torch.stack(resized.blocks(images)), simmim_outputs["resized_block_outputs"])


def test_a_table_for_each_block_gives_the_same(simmim_file, simmim_outputs, pixels, close):
    own = backbones.load(simmim_file, input_size=64, arch={"block_tables": True})
    images = pixels(own, simmim_outputs["image_resized"])
    assert close(own.pooled(images), simmim_outputs["resized_finetune_pooled"])
    tables = [block.attn.relative_position_bias_table for block in own.encoder.blocks]
    assert len({table.data_ptr() for table in tables}) == 3
    assert all(torch.equal(table, tables[0]) for table in tables)


def test_same_size_changes_nothing(simmim_file, backbone):
    explicit = backbones.load(simmim_file, input_size=(48, 48))
    assert explicit.parameters_sha256() == backbone.parameters_sha256()
    assert not explicit.key_report.converted


def test_what_the_file_does_not_say_is_noted(backbone):
    notes = " ".join(backbone.spec.notes)
    assert "ImageNet" in notes and "epsilon" in notes
    assert backbone.spec.objective == "simmim"
    assert backbone.feature_info == ((48, 8),)


def test_features_are_not_those_of_a_fresh_initialisation(simmim_file, simmim_outputs, pixels):
    loaded, fresh = backbones.load(simmim_file), backbones.load(simmim_file)
    fresh.initialise(0)
    images = pixels(loaded, simmim_outputs["image"])
    reference = loaded.encode(images)
    difference = (fresh.encode(images) - reference).abs().max() / reference.abs().max()
    assert difference > 0.1
    assert fresh.loaded_sha256 != loaded.loaded_sha256
