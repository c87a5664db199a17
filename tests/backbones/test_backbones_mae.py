"""MAE's ViT equals the reference implementation's outputs (facebookresearch/mae)."""

import pytest
import torch
from safetensors.torch import save_file

import backbones
from backbones.families.positions import sine_cosine


@pytest.fixture(scope="module")
def backbone(mae_file, mae_heads):
    return backbones.load(mae_file, arch=mae_heads, keep=("decoder",))


def as_map(tokens):
    return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, 6, 6)


def in_raster_order(outputs):
    """Kept tokens as the reference gives them, shuffled by its noise, put in raster order."""
    order = outputs["ids_keep"].long().argsort(dim=1)
    kept = outputs["encoder_mask75"][:, 1:]
    kept = torch.gather(kept, 1, order.unsqueeze(-1).expand_as(kept))
    return torch.cat([outputs["encoder_mask75"][:, :1], kept], dim=1)


def unpatchify(pixels):
    blocks = pixels.reshape(len(pixels), 6, 6, 8, 8, 3)
    return torch.einsum("nhwpqc->nchpwq", blocks).reshape(len(pixels), 3, 48, 48)


def test_features_in_raster_order(backbone, mae_outputs, pixels, close):
    images = pixels(backbone, mae_outputs["image"])
    assert close(backbone.encode(images), as_map(mae_outputs["encoder_mask0_inorder"]))
    assert not close(backbone.encode(images), as_map(mae_outputs["encoder_mask0_shuffled"]))
    assert close(torch.stack(backbone.blocks(images)), mae_outputs["block_outputs"])
    assert close(backbone.pooled(images), mae_outputs["vit_global_pool"])


def test_class_token(mae_file, mae_heads, mae_outputs, pixels, close):
    backbone = backbones.load(mae_file, arch={**mae_heads, "pool": "class_token"})
    images = pixels(backbone, mae_outputs["image"])
    assert close(backbone.pooled(images), mae_outputs["vit_cls"])


def test_masked_features_and_reconstruction(backbone, mae_outputs, pixels, close):
    images = pixels(backbone, mae_outputs["image"])
    mask = mae_outputs["mask75"].bool().view(2, 6, 6)
    features, reconstruction = backbone.masked(images, mask)
    assert close(features, in_raster_order(mae_outputs))
    assert close(reconstruction, unpatchify(mae_outputs["pred"]))


def test_other_size(mae_file, mae_heads, mae_outputs, pixels, close):
    resized = backbones.load(mae_file, input_size=64, arch=mae_heads)
    images = pixels(resized, mae_outputs["image_resized"])
    assert close(resized.encoder.pos_embed, mae_outputs["resized_pos_embed"])
    assert close(resized.pooled(images), mae_outputs["resized_vit_global_pool"])
    assert close(torch.stack(resized.blocks(images)), mae_outputs["resized_block_outputs"])


def test_masks_must_hide_equally_many(backbone):
    mask = torch.zeros(2, 6, 6, dtype=torch.bool)
    mask[0, 0] = True
    with pytest.raises(ValueError, match="equally many"):
        backbone.masked(torch.rand(2, 3, 48, 48), mask)


def test_encoder_only_file_is_recognised_by_its_position_table(tmp_path, backbone):
    tensors = {
        name.removeprefix("encoder."): value.contiguous()
        for name, value in backbone.state_dict().items()
        if name.startswith("encoder.")
    }
    tensors["pos_embed"] = sine_cosine(48, (6, 6), 1)
    save_file(tensors, tmp_path / "published.safetensors")
    loaded = backbones.load(tmp_path / "published.safetensors", arch={"num_heads": 3})
    assert (loaded.spec.objective, loaded.spec.arch["pool"]) == ("mae", "mean_fc_norm")
    tensors["pos_embed"] = tensors["pos_embed"] + 1e-3
    save_file(tensors, tmp_path / "other.safetensors")
    other = backbones.load(tmp_path / "other.safetensors", arch={"num_heads": 3})
    assert (other.key_report.format, other.spec.objective) == ("timm", "unknown")


def test_heads_that_no_rule_tells_are_asked_for(mae_file):
    with pytest.raises(backbones.LoadError, match=r"--set backbone\.num_heads=3"):
        backbones.load(mae_file)
    with pytest.raises(backbones.LoadError, match=r"--set backbone\.decoder_num_heads=3"):
        backbones.load(mae_file, arch={"num_heads": 3}, keep=("decoder",))
    assert backbones.load(mae_file, arch={"num_heads": 3}).decoder is None


def test_heads_of_published_widths_need_not_be_given(tmp_path):
    arch = {"embed_dim": 192, "depth": 1, "patch_size": 8, "mlp_hidden": 8}
    written = backbones.create("vit", arch, 16, seed=0)
    tensors = {
        name.removeprefix("encoder."): value.contiguous()
        for name, value in written.state_dict().items()
        if name.startswith("encoder.")
    }
    save_file(tensors, tmp_path / "vit.safetensors")
    loaded = backbones.load(tmp_path / "vit.safetensors")
    assert loaded.spec.arch["num_heads"] == 3
    assert any("published table of widths" in note for note in loaded.spec.notes)


def test_position_table_of_new_encoders_is_that_of_the_reference(mae_file, mae_heads):
    """The fixture's table is the reference's own with noise of deviation 0.05 added."""
    noisy = backbones.load(mae_file, arch=mae_heads).encoder.pos_embed
    assert (noisy - sine_cosine(48, (6, 6), 1)).std() < 0.06
    transposed = (
        sine_cosine(48, (6, 6), 1)[:, 1:].unflatten(1, (6, 6)).transpose(1, 2).flatten(1, 2)
    )
    assert (noisy[:, 1:] - transposed).std() > 0.2
