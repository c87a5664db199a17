"""Hiera pre-trained by MAE: masked input and decoder, against both written out on maps."""

import pytest
import torch
from torch.nn import functional

import backbones
from tests.backbones.hiera_network import hiera, reconstruction
from tests.backbones.hieras import DECODER, DEPTHS, HEAD, new, published, saved

ASKED = HEAD | {"q_pool": 2, "decoder_num_heads": 3}


@pytest.fixture
def file(tmp_path):
    """A file of an encoder with its decoder, without the norm that fine-tuning adds."""
    tensors = published(new(96, arch=DECODER, keep=("decoder",)))
    tensors = {name: v for name, v in tensors.items() if not name.startswith("norm.")}
    return saved(tensors, tmp_path / "mae_hiera.pth"), tensors


def masks():
    """Four of nine mask units hidden, others in each image."""
    return torch.tensor(
        [[[1, 0, 1], [0, 0, 1], [0, 1, 0]], [[0, 0, 0], [1, 1, 1], [0, 0, 1]]], dtype=torch.bool
    )


def test_masked(file, close):
    path, tensors = file
    backbone = backbones.load(path, arch=ASKED, keep=("decoder",))
    assert backbone.key_report.format == "hiera"
    assert not backbone.key_report.dropped
    images, mask = torch.rand(2, 3, 96, 96), masks()
    normed = (images - backbone.mean) / backbone.std
    blocks = hiera(tensors, normed, DEPTHS, 2, mask)
    features, expected = reconstruction(tensors, [blocks[i] for i in (0, 2, 6)], mask, 3)
    found = backbone.masked(images, mask)
    assert close(found.reconstruction.double(), expected)
    units = features.view(2, 3, 2, 3, 2, 64).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    kept = torch.stack([units[i][~mask[i].flatten()].flatten(0, 1) for i in range(2)])
    assert close(found.features.double(), kept)


def test_hidden_pixels_have_no_influence(file):
    backbone = backbones.load(file[0], arch=ASKED, keep=("decoder",))
    images, mask = torch.rand(2, 3, 96, 96), masks()
    changed = images.clone()
    changed[0, :, :32, :32] = 0
    first, other = (backbone.masked(x, mask) for x in (images, changed))
    assert torch.equal(first.reconstruction, other.reconstruction)
    changed[0, :, :32, 32:64] = 0
    assert not torch.equal(first.features, backbone.masked(changed, mask).features)


def test_masks_of_the_wrong_kind(file):
    backbone = backbones.load(file[0], arch=ASKED, keep=("decoder",))
    images = torch.rand(2, 3, 96, 96)
    with pytest.raises(ValueError, match=r"bool mask of shape \(2, 3, 3\)"):
        backbone.masked(images, torch.zeros(2, 24, 24, dtype=torch.bool))
    for uneven in (
        torch.ones(2, 3, 3, dtype=torch.bool),
        masks() & (torch.arange(2) > 0)[:, None, None],
    ):
        with pytest.raises(ValueError, match="equally many hidden mask units"):
            backbone.masked(images, uneven)


def test_the_decoder_goes_with_its_pooling(file, refused):
    path, _ = file
    for arch, match in (
        ({"decoder_num_heads": 3}, "trained with q_pool=2, the encoder is to have 3"),
        ({"q_pool": 2}, "does not tell decoder_num_heads"),
    ):
        refused(path, match, arch=HEAD | arch, keep=("decoder",))
    plain = backbones.load(path, arch=HEAD)
    assert plain.spec.arch["q_pool"] == 3
    assert "decoder and mask token, not kept" in plain.key_report.dropped


def test_another_size(file):
    path, tensors = file
    backbone = backbones.load(path, (70, 128), arch=ASKED, keep=("decoder",))
    table = tensors["decoder_pos_embed"].view(1, 6, 6, 12).permute(0, 3, 1, 2)
    table = functional.interpolate(table, size=(6, 8), mode="bicubic")
    assert torch.equal(backbone.decoder.pos_embed, table.flatten(2).transpose(1, 2))
    mask = torch.zeros(1, 3, 4, dtype=torch.bool)
    mask[:, 1] = True
    found = backbone.masked(torch.rand(1, 3, 70, 128), mask)
    assert found.reconstruction.shape == (1, 3, 70, 128)
    assert found.features.shape == (1, 8 * 4, 64)


def test_new_ones_are_trained_and_come_back(tmp_path):
    backbone = new(64, arch=DECODER, keep=("decoder",))
    mask = torch.eye(2, dtype=torch.bool).unsqueeze(0)
    images = torch.rand(1, 3, 64, 64)
    with torch.enable_grad():
        backbone.masked(images, mask).reconstruction.square().sum().backward()
    without = {name for name, p in backbone.named_parameters() if p.grad is None}
    assert without == backbone.unused_names("masked") == {"fc_norm.weight", "fc_norm.bias"}
    backbones.save(backbone, tmp_path / "own.safetensors", {}, torch.float32)
    again = backbones.load(tmp_path / "own.safetensors", keep=("decoder",))
    expected = backbone.masked(images, mask).reconstruction
    assert torch.equal(again.masked(images, mask).reconstruction, expected)
    fresh = backbones.create("hiera", {"embed_dim": 8, "depths": DEPTHS, "num_heads": 1}, 64, 0,
                             keep=("decoder",))  # fmt: skip
    assert fresh.spec.arch["q_pool"] == 2
    assert (fresh.encoder.layers[0].blocks[0].norm1.bias == 0).all()
