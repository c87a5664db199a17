"""SwinV2 equals the reference implementations' outputs (Swin-Transformer, MIM-Depth-Estimation).

Logit scales at their clamp make simmim_swinv2 amplify rounding: at 96 pixels the stored stages lie
up to 8e-5 (as a dense model 1.8e-4) from the same network in float64, and undoing the normalisation
of the images moves ours as much. So each test gives them in the form that adds least.
"""

import pytest
import torch
from safetensors.torch import load_file

import backbones
from backbones import files
from tasks.pretraining import losses
from tasks.recipe import BackboneRecipe
from tests.backbones.stages import FIXTURES, checkpoint, masked_agree, outputs, unmasked_agree

FILE = checkpoint("simmim_swinv2")
DEPTH = checkpoint("mim_depth_swinv2")
AS_GIVEN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
RULE = "final norm of pre-training, which MIM-Depth-Estimation does not load"


@pytest.fixture(scope="module")
def reference():
    return outputs("simmim_swinv2")


def load(**options):
    return backbones.load(FILE, arch=AS_GIVEN | options.pop("arch", {}), **options)


def test_simmim(reference, close):
    backbone = load(keep=("decoder",))
    unmasked_agree(backbone, reference, reference["image"], close)
    masked_agree(backbone, reference, reference["image"], close)
    assert close(backbone.pooled(reference["image"]), reference["finetune_pooled"])


def test_loss_on_normalised_targets(reference, close):
    """The published pre-training normalises each pixel by the 47x47 window around it."""
    mask, images = reference["mask"].bool(), reference["image"]
    reconstruction = load(keep=("decoder",)).masked(images, mask).reconstruction
    mean, deviation = losses.statistics(images, "norm47", 2)
    hidden = losses.to_pixels(mask, (64, 64))
    term = losses.l1(reconstruction, (images - mean) / deviation, hidden)
    assert close((term.total / term.count).view(1), reference["loss_norm_target_47"].view(1))


def test_with_the_normalisation_of_the_file(reference, pixels, close):
    backbone = backbones.load(FILE)
    assert close(backbone.encode(pixels(backbone, reference["image"])), reference["feature_map"])


def test_another_size_keeps_the_windows_of_pre_training(reference, close):
    backbone, images = load(input_size=96), reference["image_resized"]
    prefix = "resized_pretrained_window"
    for i, found in enumerate(backbone(images)):
        assert close(found, reference[f"{prefix}_stage{i}_pre_downsample"])
    assert close(backbone.pooled(images), reference[f"{prefix}_pooled"])
    without = load(input_size=96, arch={"pretrained_window_size": 0}).pooled(images)
    assert close(without, reference["resized_no_pretrained_window_pooled"])
    assert not close(without, reference[f"{prefix}_pooled"])
    assert backbone.parameters_sha256() == load().parameters_sha256()


def test_the_dense_variant_of_the_same_file(reference, pixels, close):
    expected = load_file(FIXTURES / "simmim_swinv2" / "mimdepth_init.safetensors")
    backbone = backbones.load(FILE, input_size=96, arch={"variant": "mim_depth"})
    images = pixels(backbone, reference["image_resized"])
    maps = backbone(images)
    assert close(maps[2], expected["stage2_pre_downsample"])
    assert close(maps[3], expected["stage3_pre_downsample"])
    assert close(backbone.encode(images), expected["features_norm3_at_init"])
    assert backbone.key_report.dropped[RULE] == ("encoder.norm.weight", "encoder.norm.bias")
    assert backbone.key_report.created == ("encoder.norm3.bias", "encoder.norm3.weight")


@pytest.mark.parametrize("sides", [None, (12, 12, 12, 6)])
def test_the_dense_variant_from_a_recipe(sides, reference, pixels, close):
    """Windows by stage, which are those of the rule too: they grow with the image."""
    expected = load_file(FIXTURES / "simmim_swinv2" / "mimdepth_init.safetensors")
    recipe = BackboneRecipe(input_size=(96, 96), variant="mim_depth", window_size=sides)
    backbone = backbones.load(FILE, recipe.input_size, arch=recipe.arch())
    images = pixels(backbone, reference["image_resized"])
    assert close(backbone.encode(images), expected["features_norm3_at_init"])
    other = recipe.model_copy(update={"window_size": (12, 12, 6, 6)}).arch()
    narrow = backbones.load(FILE, recipe.input_size, arch=other)
    assert not close(narrow.encode(images), expected["features_norm3_at_init"])


@pytest.mark.parametrize("side", [480, 352])
def test_the_windows_of_the_depth_recipes(side):
    """30 30 30 15 at 480 and 22 22 22 11 at 352, for pre-training at 192 in 12 12 12 6, by its
    rule; the first two stages shift (README of MIM-Depth-Estimation)."""
    arch = {"embed_dim": 2, "depths": (2, 2, 2, 2), "num_heads": 1, "image_size": 192}
    arch |= {"trained_window": (12, 12, 12, 6), "window_size": 0, "window_rule": "proportional"}
    new = backbones.create("swinv2", arch | {"variant": "mim_depth"}, side, 0)
    odd = [stage.blocks[1].windows for stage in new.encoder.layers]
    whole = side // 16
    assert [w.side for w in odd] == [whole, whole, whole, whole // 2]
    assert [w.shift for w in odd] == [whole // 2, whole // 2, 0, 0]


def test_both_names_of_the_bias_mlp(tmp_path):
    tensors = files.read(FILE).tensors
    renamed = {name.replace("rpe_mlp", "cpb_mlp"): value for name, value in tensors.items()}
    assert renamed.keys() != tensors.keys()
    torch.save({"model": renamed}, tmp_path / "new.pth")
    new = backbones.load(tmp_path / "new.pth")
    assert new.parameters_sha256() == backbones.load(FILE).parameters_sha256()


def test_depth_model_on_a_square_crop(close):
    backbone, reference = backbones.load(DEPTH), outputs("mim_depth_swinv2")
    images = reference["image"][..., :96]
    patches = backbone.patches(images).permute(0, 3, 1, 2)
    assert close(patches, reference["square_patch_embed"])
    for i, found in enumerate(backbone(images)):
        assert close(found, reference[f"square_stage{i}"])
    assert close(backbone.encode(images), reference["square_features"])


@pytest.mark.parametrize("case", ["odd", "small"])
def test_depth_model_where_windows_are_padded(case, close):
    reference = outputs("mim_depth_swinv2")
    images = reference[f"image_{case}"]
    backbone = backbones.load(DEPTH, input_size=tuple(images.shape[2:]))
    for i, found in enumerate(backbone(images)):
        assert close(found, reference[f"{case}_stage{i}"])


def test_both_layouts_of_the_depth_model(tmp_path):
    flat = backbones.load(DEPTH)
    tensors = {f"module.{name}": value for name, value in files.read(DEPTH).tensors.items()}
    torch.save({"model": tensors, "optimizer": {}}, tmp_path / "train.pth")
    nested = backbones.load(tmp_path / "train.pth")
    assert nested.parameters_sha256() == flat.parameters_sha256()
    for backbone in (flat, nested):
        dropped = backbone.key_report.dropped["depth decoder, of no use to other tasks"]
        assert len(dropped) == 29
        assert backbone.key_report.format == "mim_depth"


def test_what_the_files_tell():
    simmim, depth = backbones.load(FILE).spec.arch, backbones.load(DEPTH).spec.arch
    assert (simmim["trained_window"], depth["trained_window"]) == ((8, 8, 8, 4), (6, 6, 6, 3))
    assert simmim["pretrained_window_size"] == (8, 8, 8, 4)
    assert depth["pretrained_window_size"] == (4, 4, 4, 2)
    assert (simmim["norm_eps"], depth["norm_eps"]) == (1e-5, 1e-6)
    assert depth["use_shift"] == (1, 1, 0, 0)


def test_shifts_by_stage(close):
    reference = outputs("mim_depth_swinv2")
    images = reference["image"][..., :96]
    other = backbones.load(DEPTH, arch={"use_shift": [True, False, False, False]})
    maps = other(images)
    assert close(maps[0], reference["square_stage0"])
    assert not close(maps[1], reference["square_stage1"])


def write(path, change):
    tensors = dict(files.read(FILE).tensors)
    change(tensors)
    torch.save({"model": tensors}, path)
    return path


def test_files_without_buffers_ask_for_the_window(refused, tmp_path):
    def bare(tensors):
        for name in [n for n in tensors if n.endswith(("index", "coords_table", "attn_mask"))]:
            del tensors[name]

    path = write(tmp_path / "bare.pth", bare)
    refused(path, "does not tell window_size")
    told = backbones.load(path, arch={"window_size": [8, 8, 8, 4]})
    assert told.input_size == (64, 64)
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(told.encode(images), backbones.load(FILE).encode(images))


@pytest.mark.parametrize(("name", "value", "match"), [
    ("layers.3.blocks.0.attn.relative_coords_table", None, "but not in layers.3"),
    ("layers.0.blocks.1.attn.relative_coords_table", torch.ones(1, 15, 15, 2), "another window"),
    ("layers.3.blocks.0.attn.relative_position_index", torch.ones(16, 9), "of a square window"),
    ("layers.1.blocks.0.attn.logit_scale", torch.ones(2), r"expected \(heads, 1, 1\)"),
])  # fmt: skip
def test_buffers_that_contradict_each_other(refused, tmp_path, name, value, match):
    def change(tensors):
        tensors.pop(f"encoder.{name}")
        if value is not None:
            tensors[f"encoder.{name}"] = value

    refused(write(tmp_path / "odd.pth", change), match)


@pytest.mark.parametrize(("arch", "expected"), [
    ({}, (8, 8, 8, 4)),
    ({"variant": "mim_depth"}, (8, 8, 4, 2)),
    ({"window_size": [4, 0, 0, 0]}, (4, 8, 8, 4)),
])  # fmt: skip
def test_a_fixed_window_is_one_number_for_all_stages(tmp_path, arch, expected):
    """At 64 pixels it is 8, 8, 4 and 2, since the last maps are no larger; at 128 they are."""
    written = backbones.create("swinv2", {"embed_dim": 8, "depths": [1, 1, 1, 1]}, 64, seed=0)
    backbones.save(written, tmp_path / "v2.safetensors", {}, torch.float32)
    given = {"window_size": 0} | arch
    loaded = backbones.load(tmp_path / "v2.safetensors", input_size=128, arch=given)
    assert loaded.spec.arch["trained_window"] == (8, 8, 4, 2)
    assert tuple(stage.blocks[0].windows.side for stage in loaded.encoder.layers) == expected


def test_a_dense_variant_is_saved_whole(tmp_path):
    """Its final norm is its own, and is not taken for that of pre-training."""
    dense = backbones.load(FILE, input_size=96, arch={"variant": "mim_depth"})
    dense.encoder.norm3.weight += 0.5
    backbones.save(dense, tmp_path / "dense.safetensors", {}, torch.float32)
    loaded = backbones.load(tmp_path / "dense.safetensors")
    images = torch.rand(1, 3, 96, 96)
    assert torch.equal(loaded.encode(images), dense.encode(images))
    assert not loaded.key_report.created
    for created in ({"depths": [1, 1]}, {"depths": [1, 1, 1, 1]}):
        new = backbones.create("swinv2", {"embed_dim": 8, "variant": "mim_depth"} | created, 40, 0)
        assert new.spec.arch["use_shift"][:2] == (1, 1) and new.spec.arch["norm_eps"] == 1e-6
        assert any(name.startswith("encoder.norm") for name, _ in new.named_parameters())


def test_wrong_fields(refused):
    with pytest.raises(backbones.LoadError, match="depths: expected a whole number"):
        backbones.create("swinv2", {"embed_dim": 8, "depths": "2", "variant": "mim_depth"}, 64, 0)
    refused(FILE, "variant: expected swin or mim_depth", arch={"variant": "dense"})
    refused(DEPTH, "has no decoder to keep", keep=("decoder",))
    refused(DEPTH, "has no head to keep", keep=("head",))


def test_new_blocks_change_nothing():
    arch = {"embed_dim": 8, "depths": 1, "num_heads": 1}
    backbone = backbones.create("swinv2", arch | {"depths": [1, 2]}, 64, seed=0)
    images = torch.rand(1, 3, 64, 64)
    first, second, third = backbone.blocks(images)
    assert torch.equal(second, third)
    assert torch.equal(first, backbone.patches(images).permute(0, 3, 1, 2))
    scale = backbone.encoder.layers[0].blocks[0].attn.logit_scale
    assert scale.item() == pytest.approx(2.302585, abs=1e-6)
