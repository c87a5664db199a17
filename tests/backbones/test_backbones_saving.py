"""Our own layout, and timm's names: what is written is what comes back."""

import json

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

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
    assert not read.key_report.created


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


@pytest.fixture
def written(tiny, tmp_path):
    """The metadata of a file of ours, and a function that writes it again with another text."""
    own, other = tmp_path / "own.safetensors", tmp_path / "other.safetensors"
    backbones.save(tiny(), own, SAID)
    with safe_open(own, framework="pt") as file:
        said = json.loads(file.metadata()["harness"])

    def write(text):
        save_file(load_file(own), other, metadata={"harness": text})
        return other

    return said, write


@pytest.mark.parametrize(
    "text", ["", "{", "5", "null", "[]", "[" * 100000, "9" * 5000, "{}"], ids=lambda text: text[:4]
)
def test_metadata_that_is_no_object(written, text, refused):
    _, write = written
    refused(write(text), r"other\.safetensors: metadata of this harness: .*save .* again")


WRONG = [
    ("version", "2"), ("version", None), ("version", 0), ("version", True), ("family", []),
    ("family", 5), ("objective", 5), ("licence", [1]), ("data", None), ("name", 5),
    ("evidence", []), ("arch", 5), ("arch", [1]), ("mean", 5), ("mean", [1, 2]),
    ("mean", ["a", 1, 2]), ("mean", [float("nan"), 1, 2]), ("mean", {"a": 1}), ("std", [1, 0, 1]),
    ("std", [1, -1, 1]), ("std", [1, float("nan"), 1]), ("std", None),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_metadata_of_the_wrong_type(written, key, value, refused):
    said, write = written
    text = json.dumps({**said, key: value})
    refused(write(text), rf"other\.safetensors: .*{key}: expected .*, got ")


@pytest.mark.parametrize(("field", "value"), [
    ("embed_dim", 0), ("patch_size", 0), ("norm_eps", None), ("norm_eps", -1), ("norm_eps", True),
    ("image_size", 5.5),
])  # fmt: skip
def test_architectures_in_metadata_are_read_as_critically(written, field, value, refused):
    said, write = written
    text = json.dumps({**said, "arch": {**said["arch"], field: value}})
    refused(write(text), f"{field}: expected .*, got ")


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
    with pytest.raises(backbones.LoadError, match=r"put them there as vit_tiny_patch16_224"):
        backbones.load("timm:vit_tiny_patch16_224.augreg_in21k")
    with pytest.raises(backbones.LoadError, match=r"put them there as vit_giant_patch14_dinov2"):
        backbones.load("timm:vit_giant_patch14_dinov2.lvd142m")  # gated layers
    with pytest.raises(backbones.LoadError, match=r"put them there as resnet18\.a1_in1k"):
        backbones.load("timm:resnet18.a1_in1k")
    with pytest.raises(backbones.LoadError, match="did you mean"):
        backbones.load("timm:vit_tiny_patch16_225.augreg_in21k")
    with pytest.raises(backbones.LoadError, match=r"did you mean vit_base_patch16_224\."):
        backbones.load("timm:vit_base_patch16_224.nonexistent")


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


def test_timm_name_of_a_distilled_encoder(tmp_path, monkeypatch, close):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    name = "deit_tiny_distilled_patch16_224.fb_in1k"
    model = timm.create_model(name).eval()
    save_file(model.state_dict(), tmp_path / "checkpoints" / f"{name}.safetensors")
    backbone = backbones.load(f"timm:{name}", keep=("head",))
    images = torch.rand(1, 3, 224, 224)
    assert close(backbone.logits(images), model((images - backbone.mean) / backbone.std))
