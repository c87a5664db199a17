"""BEiT equals the reference implementation's outputs (microsoft/unilm, beit)."""

import pytest
import torch

import backbones


@pytest.fixture(scope="module")
def pretrained(published):
    return backbones.load(published("beit_pretrain")[0], keep=("decoder",))


def state(published, name):
    return dict(torch.load(published(name)[0], weights_only=True)["model"])


def test_pretrained_features(pretrained, published, pixels, close):
    outputs = published("beit_pretrain")[1]
    images = pixels(pretrained, outputs["image"])
    assert close(torch.stack(pretrained.blocks(images)), outputs["block_outputs"])
    assert close(pretrained.encode(images), pretrained.as_map(outputs["tokens_norm"]))
    mean = outputs["block_outputs"][-1][:, 1:].mean(dim=1)
    assert close(pretrained.pooled(images), torch.nn.functional.layer_norm(mean, (40,), eps=1e-6))


def test_masked_features_and_scores_of_visual_tokens(pretrained, published, pixels, close):
    outputs = published("beit_pretrain")[1]
    mask = outputs["mask"].bool().view(1, 6, 6)
    features, scores = pretrained.masked(pixels(pretrained, outputs["image"]), mask)
    assert close(features, pretrained.as_map(outputs["masked_tokens_norm"]))
    tokens = scores.flatten(2).transpose(1, 2)
    assert close(tokens, outputs["logits_all"])
    assert close(tokens[mask.flatten(1)], outputs["logits_masked_only"])
    unused = pretrained.unused_names("masked")
    assert unused == {"fc_norm.weight", "fc_norm.bias"}


def test_finetuned_features_and_logits(published, pixels, close):
    path, outputs = published("beit_finetuned")
    backbone = backbones.load(path, keep=("head",))
    images = pixels(backbone, outputs["image"])
    assert close(torch.stack(backbone.blocks(images)), outputs["block_outputs"])
    assert close(backbone.pooled(images), outputs["pooled"])
    assert close(backbone.logits(images), outputs["logits"])


def test_every_tensor_is_accounted_for(published):
    report = backbones.load(published("beit_pretrain")[0]).key_report
    assert report.format == "beit"
    assert dict(report.dropped) == {
        "index buffer": ("rel_pos_bias.relative_position_index",),
        "decoder and mask token, not kept": ("mask_token", "lm_head.weight", "lm_head.bias"),
    }
    tuned = backbones.load(published("beit_finetuned")[0]).key_report
    assert tuned.format == "beit"
    assert {rule: len(names) for rule, names in tuned.dropped.items()} == {
        "index buffer": 2,
        "classifier, not kept": 2,
    }
    assert not tuned.created


def test_input_is_normalised_as_beit_does(pretrained, published, tmp_path):
    assert pretrained.spec.mean == pretrained.spec.std == (0.5, 0.5, 0.5)
    assert any("BEiT v2" in note for note in pretrained.spec.notes)
    # SimMIM's fine-tuning writes the same names, and its own bookkeeping beside them.
    file = {"model": state(published, "beit_finetuned"), "lr_scheduler": {}, "max_accuracy": 0.0}
    torch.save(file, tmp_path / "simmim.pth")
    simmim = backbones.load(tmp_path / "simmim.pth")
    assert simmim.key_report.format == "timm"
    assert simmim.spec.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("name", ["fc_norm.weight", "fc_norm.bias"])
def test_half_a_norm_is_refused(published, tmp_path, refused, name):
    tensors = state(published, "beit_finetuned")
    del tensors[name]
    torch.save({"model": tensors}, tmp_path / "half.pth")
    refused(tmp_path / "half.pth", r"fc_norm\.")


def test_second_head_of_beit_v2(published, tmp_path):
    tensors = state(published, "beit_pretrain")
    more = {n.replace("blocks.1", "cls_pt_layers.0"): v for n, v in tensors.items() if "s.1." in n}
    torch.save({"model": tensors | more}, tmp_path / "beitv2.pth")
    backbone = backbones.load(tmp_path / "beitv2.pth")
    rule = "layers of BEiT v2's head for the class token"
    assert set(backbone.key_report.dropped[rule]) == set(more)
    assert backbone.spec.mean == (0.485, 0.456, 0.406)


def test_other_size_by_the_rule_of_simmim(published, pretrained):
    """BEiT's and SimMIM's code resize tables alike (run_class_finetuning.py, utils.py)."""
    resized = backbones.load(published("beit_pretrain")[0], input_size=64)
    assert set(resized.key_report.converted) == {"bias table 6x6 to 8x8 by geometric spline"}
    assert len(resized.encoder.rel_pos_bias.relative_position_bias_table) == 15 * 15 + 3


def test_saved_with_its_mask_token(pretrained, tmp_path):
    backbones.save(pretrained, tmp_path / "own.safetensors", {}, dtype=torch.float32)
    again = backbones.load(tmp_path / "own.safetensors", keep=("decoder",))
    images, mask = torch.rand(1, 3, 48, 48), torch.rand(1, 6, 6) > 0.5
    for ours, theirs in zip(
        again.masked(images, mask), pretrained.masked(images, mask), strict=True
    ):
        assert torch.equal(ours, theirs)
    again.initialise(0)
    assert 0 < again.decoder.lm_head.weight.abs().max() <= 0.02
