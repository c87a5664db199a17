"""DINO and iBOT equal the reference outputs (facebookresearch/dino, bytedance/ibot)."""

from argparse import Namespace

import pytest
import torch

import backbones

HEADS = {"num_heads": 2}
NAMES = ["dino", "ibot"]
HEAD = {
    "dino": ("mlp.0.weight", "last_layer.weight_g"),
    "ibot": ("mlp.0.weight", "last_layer.weight_g", "last_layer2.weight_g"),
}


def encoder_of(published, name):
    content = torch.load(published(name)[0], weights_only=True)
    return dict(content.get("state_dict", content))


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def training_file(name, published, tmp_path):
    """A training file as main_{dino,ibot}.py write it: its student has other values."""
    teacher = encoder_of(published, name)
    head = {f"head.{part}": torch.ones(3) for part in HEAD[name]}
    student = {f"module.backbone.{n}": v + 0.01 for n, v in teacher.items()}
    if name == "ibot":
        student["module.backbone.masked_embed"] = torch.randn(1, 32)
    content = {
        "student": student | {f"module.{n}": v for n, v in head.items()},
        "teacher": {f"backbone.{n}": v for n, v in teacher.items()} | head,
        "epoch": 3,
        "args": Namespace(arch="vit_small"),
    }
    torch.save(content, tmp_path / "checkpoint.pth")
    return tmp_path / "checkpoint.pth"


def test_features_of_the_encoders_file(name, published, pixels, close):
    path, outputs = published(name)
    backbone = backbones.load(path, arch=HEADS)
    images = pixels(backbone, outputs["image"])
    blocks = torch.stack(backbone.blocks(images))
    assert close(blocks, outputs["block_outputs"])
    assert close(backbone.encoder.norm(blocks), outputs["intermediate_norm"])
    assert close(backbone.pooled(images), outputs["cls"])
    assert close(backbone.encode(images), backbone.as_map(outputs["intermediate_norm"][-1]))


RULES = [{}, {"position_resize": "bicubic_offset"}, {"format": "dino"}, {"format": "ibot"}]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_other_size(name, rule, published, pixels, close):
    path, outputs = published(name)
    backbone = backbones.load(path, input_size=(40, 64), arch=HEADS | rule)
    images = pixels(backbone, outputs["image_rect"])
    assert close(backbone.encoder.pos_embed, outputs["rect_pos_embed"])
    assert close(torch.stack(backbone.blocks(images)), outputs["rect_block_outputs"])
    assert close(backbone.pooled(images), outputs["rect_cls"])


def test_what_looks_like_theirs_is_resized_as_theirs_and_says_so(name, published):
    """Nothing else tells it from a ViT of timm without classifier, whose rule is another."""
    path, outputs = published(name)
    backbone = backbones.load(path, arch=HEADS, input_size=48)
    assert backbone.key_report.format == "timm"
    assert any("by DINO's rule" in note for note in backbone.spec.notes)
    other = {"position_resize": "bicubic_antialias"}
    timm = backbones.load(path, input_size=(40, 64), arch=HEADS | other)
    difference = timm.encoder.pos_embed - outputs["rect_pos_embed"]
    assert difference.abs().max() / outputs["rect_pos_embed"].abs().max() > 0.05


def test_beside_other_things_the_rule_is_asked_for(name, published, tmp_path, refused):
    """A training file of somebody's own is not what DINO and iBOT publish."""
    state = encoder_of(published, name)
    for content in ({"state_dict": state, "epoch": 3}, {"model": state}):
        torch.save(content, tmp_path / "own.pth")
        path = tmp_path / "own.pth"
        refused(path, r"from 6x6 to 5x8.*position_resize", arch=HEADS, input_size=(40, 64))
        assert any("by whose rule" in n for n in backbones.load(path, arch=HEADS).spec.notes)


def test_the_teacher_of_a_training_file(name, training_file, published):
    backbone = backbones.load(training_file, arch=HEADS, input_size=(40, 64))
    expected = encoder_of(published, name)
    assert backbone.spec.objective == backbone.key_report.format == name
    table = published(name)[1]["rect_pos_embed"]
    for leaf, parameter in backbone.encoder.named_parameters():
        assert torch.equal(parameter, table if leaf == "pos_embed" else expected[leaf]), leaf
    dropped = backbone.key_report.dropped
    assert len(dropped["projection head"]) == len(HEAD[name])
    students = len(expected) + len(HEAD[name]) + (name == "ibot")
    assert len(dropped["student, not asked for"]) == students
    assert backbone.key_report.beside == ("epoch", "args")
    assert any("the teacher" in note for note in backbone.spec.notes)


def test_the_student_by_request(name, training_file, published):
    backbone = backbones.load(training_file, arch=HEADS | {"format": f"{name}_student"})
    expected = encoder_of(published, name)
    for leaf, parameter in backbone.encoder.named_parameters():
        assert torch.equal(parameter, expected[leaf] + 0.01), leaf
    assert "teacher, not asked for" in backbone.key_report.dropped


def test_a_teacher_alone(name, training_file, tmp_path, refused):
    content = torch.load(training_file, weights_only=False)
    torch.save({"teacher": content["teacher"]}, tmp_path / "teacher.pth")
    alone = backbones.load(tmp_path / "teacher.pth", arch=HEADS)
    assert alone.key_report.format == name
    whole = backbones.load(training_file, arch=HEADS)
    assert alone.parameters_sha256() == whole.parameters_sha256()
    content["teacher"]["head.surprise"] = torch.zeros(3)
    torch.save(content, tmp_path / "more.pth")
    refused(tmp_path / "more.pth", r"encoder\.teacher\.head\.surprise", arch=HEADS)


@pytest.mark.parametrize("name", ["ibot"], indirect=True)
def test_masked_features_of_ibots_student(training_file, close):
    """Hidden patches are replaced before positions are added (models/vision_transformer.py)."""
    arch = HEADS | {"format": "ibot_student"}
    backbone = backbones.load(training_file, arch=arch, keep=("decoder",))
    images, mask = torch.rand(2, 3, 48, 48), torch.rand(2, 6, 6) > 0.5
    features, nothing = backbone.masked(images, mask)
    assert nothing.shape == (2, 0, 6, 6)
    patches = backbone.patches(images)
    patches[mask.flatten(1)] = backbone.decoder.mask_token
    tokens = backbone.through(backbone.tokens(patches))
    assert close(features, backbone.as_map(backbone.encoder.norm(tokens)))
    whole, _ = backbone.masked(images, torch.zeros_like(mask))
    assert torch.equal(whole, backbone.encode(images))
