"""Our own layout, and timm's names: what is written is what comes back."""

import json

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import backbones

SAID = {"name": "mine", "objective": "simmim", "licence": "MIT", "data": "drawn", "command": "x"}


@pytest.mark.parametrize("family", ["beit", "vit"])
def test_round_trip(tiny, tmp_path, family):
    written = tiny(family, size=(32, 40), keep=("decoder",), mean=(0.1, 0.2, 0.3))
    backbones.save(written, tmp_path / "e.safetensors", SAID, dtype=torch.float32)
    read = backbones.load(tmp_path / "e.safetensors", keep=("decoder",))
    assert read.parameters_sha256() == written.parameters_sha256()
    assert (read.input_size, read.spec.mean) == ((32, 40), (0.1, 0.2, 0.3))
    assert (read.spec.objective, read.spec.licence, read.spec.name) == ("simmim", "MIT", "mine")
    assert read.key_report.format == "harness"
    assert set(read.key_report.created) == {n for n in read.state_dict() if "fc_norm" in n}
    mask = torch.zeros(1, 4, 5, dtype=torch.bool)
    mask[:, 0] = True
    images = torch.rand(1, 3, 32, 40)
    ours, theirs = (b.masked(images, mask).reconstruction for b in (written, read))
    assert torch.equal(ours, theirs)
    assert list(tmp_path.iterdir()) == [tmp_path / "e.safetensors"]


def test_half_precision_and_metadata(tiny, tmp_path):
    written = tiny(keep=("decoder",))
    backbones.save(written, tmp_path / "e.safetensors", SAID | {"evidence": {"l1": 0.5}})
    with safe_open(tmp_path / "e.safetensors", framework="pt") as file:
        said = json.loads(file.metadata()["harness"])
        assert file.get_tensor("encoder.cls_token").dtype == torch.float16
    assert said["command"] == "x"
    read = backbones.load(tmp_path / "e.safetensors")
    assert read.spec.evidence == {"l1": 0.5}
    assert torch.equal(read.encoder.cls_token, written.encoder.cls_token.half().float())
    assert "decoder and mask token, not kept" in read.key_report.dropped


def test_a_trained_fc_norm_is_kept(tiny, tmp_path):
    written = tiny()
    written.fc_norm.weight.data[0] = 2
    backbones.save(written, tmp_path / "e.safetensors", SAID)
    read = backbones.load(tmp_path / "e.safetensors")
    assert read.fc_norm.weight[0] == 2
    assert read.key_report.created == ("fc_norm.bias",)


def test_values_that_half_precision_cannot_hold(tiny, tmp_path):
    written = tiny()
    written.encoder.cls_token.data[0, 0, 0] = 1e6
    with pytest.raises(backbones.LoadError, match=r"encoder\.cls_token"):
        backbones.save(written, tmp_path / "e.safetensors", SAID)
    assert not list(tmp_path.iterdir())


def test_files_of_a_newer_version_are_refused(tmp_path):
    said = {"version": 99} | dict.fromkeys(
        ("family", "arch", "objective", "mean", "std", "licence", "data"), 0
    )
    save_file({"a": torch.zeros(1)}, tmp_path / "e", metadata={"harness": json.dumps(said)})
    with pytest.raises(backbones.LoadError, match="newer version"):
        backbones.load(f"{tmp_path}/e")


def test_state_dict_of_timm_with_its_classifier(tmp_path, close):
    torch.manual_seed(0)
    model = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=5,
        reg_tokens=2, no_embed_class=True, init_values=0.3,
    ).eval()  # fmt: skip
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    backbone = backbones.load(tmp_path / "vit.safetensors", arch={"num_heads": 3}, keep=("head",))
    images = torch.rand(2, 3, 32, 32)
    normalised = (images - backbone.mean) / backbone.std
    assert close(backbone.logits(images), model(normalised))
    tokens = model.forward_features(normalised)
    assert close(backbone.pooled(images), tokens[:, 0])
    assert close(backbone.encode(images), tokens[:, 3:].transpose(1, 2).reshape(2, 24, 4, 4))
    larger = backbones.load(tmp_path / "vit.safetensors", (40, 48), arch={"num_heads": 3})
    model.set_input_size((40, 48))
    assert close(larger.encoder.pos_embed, model.pos_embed)


def test_timm_names_without_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(backbones.LoadError, match=r"put them at .*vit_tiny_patch16_224"):
        backbones.load("timm:vit_tiny_patch16_224.augreg_in21k")
    with pytest.raises(backbones.LoadError, match="ResNet of a kind that no family here serves"):
        backbones.load("timm:resnet18.a1_in1k")
    with pytest.raises(backbones.LoadError, match="did you mean"):
        backbones.load("timm:vit_tiny_patch16_225.augreg_in21k")


def test_timm_name_with_a_local_file(tmp_path, monkeypatch, close):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    name = "vit_tiny_patch16_224.augreg_in21k"
    model = timm.create_model(name, num_classes=0).eval()
    save_file(model.state_dict(), tmp_path / "checkpoints" / f"{name}.safetensors")
    backbone = backbones.load(f"timm:{name}")
    assert backbone.spec.mean == (0.5, 0.5, 0.5)
    assert backbone.spec.arch["num_heads"] == 3
    images = torch.rand(1, 3, 224, 224)
    assert close(backbone.pooled(images), model(images * 2 - 1))
