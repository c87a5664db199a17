"""MAE's masked input for a ViT whose positions are relative."""

import pytest
import torch

import backbones

ARCH = {"patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}
DECODER = {"decoder_embed_dim": 32, "decoder_depth": 1, "decoder_num_heads": 2}
SIZE = (32, 48)


@pytest.fixture
def encoder():
    """With tables that are not zero, as they are when new."""
    made = backbones.create("beit", ARCH | DECODER, SIZE, seed=0, keep=("decoder",))
    table = made.encoder.rel_pos_bias.relative_position_bias_table
    torch.nn.init.normal_(table, generator=torch.Generator().manual_seed(1))
    return made


def masks(kept: int) -> torch.Tensor:
    random = torch.rand(2, 24, generator=torch.Generator().manual_seed(2))
    return (random.argsort(dim=1).argsort(dim=1) >= kept).view(2, 4, 6)


def test_kept_tokens_are_encoded_as_if_the_others_could_not_be_seen(encoder):
    """The reference runs all tokens, and takes the hidden ones away from every softmax."""
    images, mask = torch.rand(2, 3, *SIZE), masks(kept=6)
    seen = torch.cat([torch.ones(2, 1, dtype=torch.bool), ~mask.flatten(1)], dim=1)
    shut = torch.zeros(2, 1, 1, 25).masked_fill(~seen[:, None, None, :], float("-inf"))
    with torch.no_grad():
        tokens = encoder.tokens(encoder.patches(images))
        for block in encoder.encoder.blocks:
            tokens = block(tokens, shared_rel_pos_bias=encoder.encoder.rel_pos_bias() + shut)
        expected = encoder.encoder.norm(tokens)[seen].view(2, 7, 48)
        features, reconstruction = encoder.masked(images, mask)
    assert torch.allclose(features, expected, rtol=0, atol=1e-5)
    assert reconstruction.shape == images.shape
    # What is hidden is nowhere looked at.
    painted = torch.where(mask.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None], 0, images)
    with torch.no_grad():
        again = encoder.masked(painted, mask)
    assert torch.allclose(again.reconstruction, reconstruction, rtol=0, atol=1e-5)


def test_gradients_reach_the_rows_that_kept_tokens_need_and_no_other(encoder):
    mask = torch.ones(1, 4, 6, dtype=torch.bool)
    mask[0, 0, 0] = mask[0, 0, 1] = False
    with torch.enable_grad():
        encoder.masked(torch.rand(1, 3, *SIZE), mask).reconstruction.square().sum().backward()
    table = encoder.encoder.rel_pos_bias.relative_position_bias_table
    moved = table.grad.abs().sum(dim=1) > 0
    # Offsets -1, 0 and 1 to the right, and the three of the class token.
    assert moved.sum() == 3 + 3
    assert encoder.decoder.pos_embed.grad is None


def test_masks_that_keep_unequally_are_refused(encoder):
    mask = masks(kept=6)
    mask[0] = ~mask[0]
    with pytest.raises(ValueError, match="equally many hidden patches"):
        encoder.masked(torch.rand(2, 3, *SIZE), mask)


def test_saved_and_loaded_with_its_decoder(encoder, tmp_path):
    backbones.save(encoder, tmp_path / "own.safetensors", {}, dtype=torch.float32)
    images, mask = torch.rand(2, 3, *SIZE), masks(kept=6)
    again = backbones.load(tmp_path / "own.safetensors", keep=("decoder",))
    with torch.no_grad():
        for ours, theirs in zip(
            again.masked(images, mask), encoder.masked(images, mask), strict=True
        ):
            assert torch.equal(ours, theirs)
    resized = backbones.load(tmp_path / "own.safetensors", input_size=64, keep=("decoder",))
    assert resized.decoder.pos_embed.shape == (1, 1 + 64, 32)
    assert resized.masked(torch.rand(1, 3, 64, 64), torch.eye(8).bool()[None]).features.shape == (
        *(1, 1 + 56, 48),
    )
    without = backbones.load(tmp_path / "own.safetensors")
    assert torch.equal(without.encode(images), encoder.encode(images))
    own = {"block_tables": True}
    with pytest.raises(backbones.LoadError, match="block_tables"):
        backbones.load(tmp_path / "own.safetensors", arch=own, keep=("decoder",))
