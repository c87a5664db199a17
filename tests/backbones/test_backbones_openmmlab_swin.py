"""Swin of OpenMMLab: the outputs of mmpose's networks with random weights; mmdet's are among the
slow tests."""

import pytest
import torch

import backbones
from backbones.formats.openmmlab_swin import cell_by_cell
from harness.testing import check_backbone
from tasks import openmmlab
from tests.backbones.openmmlab_swin import network, saved, stages_agree


@pytest.mark.parametrize("size", [128, 64, (96, 40), (70, 45)], ids=str)
def test_stages_of_their_networks(size, tmp_path, close):
    """128: maps of whole windows; 64 and less: maps smaller than a window, odd ones."""
    stages_agree("mmpose", size, tmp_path, close)


def test_an_encoder_of_pose_pads_small_maps(tmp_path, close):
    model = network(out_indices=(3,))
    head = {"head.final_layer.weight": torch.ones(2, 2)}
    path = saved(tmp_path / "pose.pth", model.state_dict(), **head)
    backbone = backbones.load(path, input_size=(64, 48))
    images = torch.rand(2, 3, 64, 48)
    assert close(backbone.encode(images), model((images - backbone.mean) / backbone.std)[0])


def test_a_classifier_shrinks_its_windows(tmp_path, close):
    """As mmpretrain does; the same at the size at which the last map is one window and more."""
    model = network(out_indices=(3,))
    state = model.state_dict()
    head = {"head.fc.weight": torch.randn(5, 64), "head.fc.bias": torch.randn(5)}
    path = saved(tmp_path / "swin.pth", state, **head)
    backbone = backbones.load(path, input_size=160, keep=("head",))
    assert not backbone.spec.arch["pad_small_maps"]
    assert backbone.spec.objective == "supervised"
    images = torch.rand(2, 3, 160, 160)
    theirs = model((images - backbone.mean) / backbone.std)[0]
    assert close(backbone.encode(images), theirs)
    logits = theirs.mean(dim=(2, 3)) @ head["head.fc.weight"].T + head["head.fc.bias"]
    assert close(backbone.logits(images), logits)
    small, padded = (
        backbones.load(path, input_size=64, arch={"pad_small_maps": pads}) for pads in (False, True)
    )
    images = torch.rand(1, 3, 64, 64)
    assert not close(small.encode(images), padded.encode(images))


def test_without_a_prefix_and_the_authors_order(tmp_path):
    """Their own conversion of the authors' names, undone."""
    convert = openmmlab.load("mmpose.models.backbones.utils.ckpt_convert").swin_converter
    arch = {"embed_dim": 8, "depths": (2, 2), "num_heads": (1, 2), "window_size": 4}
    ours = backbones.create("swin", arch, 32, 0)
    merging = ours.encoder.layers[1].downsample
    for value in (merging.reduction.weight, merging.norm.weight, merging.norm.bias):
        value.copy_(torch.randn(value.shape))
    theirs = convert({
        f"layers.0.downsample.{name}": value for name, value in merging.state_dict().items()
    })  # fmt: skip
    for name, value in theirs.items():
        own = name.removeprefix("backbone.stages.0.downsample.")
        assert not torch.equal(value, merging.state_dict()[own])
        assert torch.equal(cell_by_cell(value), merging.state_dict()[own])
    model = network()
    path = saved(tmp_path / "bare.pth", model.state_dict(), prefix="")
    with_prefix = saved(tmp_path / "swin.pth", model.state_dict())
    one, other = backbones.load(path), backbones.load(with_prefix)
    assert one.parameters_sha256() == other.parameters_sha256()


def test_one_tensor_broken_is_refused(tmp_path, refused):
    state = network().state_dict()
    unused = ("norm0.", "norm1.", "norm2.")
    names = [n for n in state if ".blocks.1." not in n and not n.startswith(unused)][::4]
    for name in (name for name in names if "relative_position_index" not in name):
        value = state[name]
        rest = {n: v for n, v in state.items() if n != name}
        for mutant in (
            rest,
            rest | {f"{name}_": value},
            rest | {name: value[..., :-1]},
            rest | {name: torch.full_like(value, torch.nan)},
        ):
            refused(saved(tmp_path / "m.pth", mutant), r"\S")


@pytest.mark.parametrize("size", [(64, 96), (70, 45)], ids=str)
def test_contract(size):
    arch = {"embed_dim": 8, "depths": (2, 2, 2, 1), "num_heads": (1, 2, 2, 4), "window_size": 4}
    with torch.enable_grad():
        check_backbone(backbones.create("swin", arch | {"pad_small_maps": True}, size, 0))
