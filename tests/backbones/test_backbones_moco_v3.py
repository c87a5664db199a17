"""MoCo v3's ViT equals the reference implementation's outputs (facebookresearch/moco-v3)."""

import pytest
import torch

import backbones

HEADS = {"num_heads": 2}


@pytest.fixture(scope="module")
def backbone(published):
    return backbones.load(published("moco_v3")[0], arch=HEADS)


def test_features(backbone, published, pixels, close):
    outputs = published("moco_v3")[1]
    images = pixels(backbone, outputs["image"])
    assert close(torch.stack(backbone.blocks(images)), outputs["block_outputs"])
    assert close(backbone.pooled(images), outputs["cls_norm"])
    normed = backbone.encoder.norm(outputs["block_outputs"][-1])
    assert close(backbone.encode(images), backbone.as_map(normed))


def test_it_is_the_encoder_that_gradients_trained(backbone, published):
    state = torch.load(published("moco_v3")[0], weights_only=True)["state_dict"]
    for name, parameter in backbone.encoder.named_parameters():
        assert torch.equal(parameter, state[f"module.base_encoder.{name}"]), name
        assert not torch.equal(parameter, state[f"module.momentum_encoder.{name}"]), name


def test_every_tensor_is_accounted_for(backbone):
    report = backbone.key_report
    assert report.format == "moco_v3"
    assert {rule: len(names) for rule, names in report.dropped.items()} == {
        "projector": 16,
        "momentum encoder": 46,
        "predictor": 10,
    }
    assert len(report.used) == 30
    assert not report.created


def test_a_tensor_beside_the_networks_is_refused(published, tmp_path):
    state = torch.load(published("moco_v3")[0], weights_only=True)["state_dict"]
    state["module.queue"] = torch.zeros(3)
    torch.save({"state_dict": state}, tmp_path / "more.pth")
    with pytest.raises(backbones.LoadError, match=r"not in the model: encoder\.queue"):
        backbones.load(tmp_path / "more.pth", arch=HEADS)
