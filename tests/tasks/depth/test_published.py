"""Published depth models: encoder and head of a file give the reference code's depth."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import backbones
from harness import recipes
from harness.options import RunOptions
from tasks.contract import Published
from tasks.depth import published
from tasks.depth.model import DepthModel
from tests.backbones.stages import checkpoint, outputs
from tests.tasks.depth.networks import INFO, Size, recipe

FILE = checkpoint("mim_depth_swinv2")
CLOSE = 1e-4


def loaded(size: Size, **sections: Any) -> DepthModel:
    backbone = backbones.load(FILE, input_size=size, keep=("depth",))
    given = published.recipe_of(recipe((96, 96) if size == (90, 131) else size, **sections), kept())
    model = DepthModel(backbone, given, INFO)
    published.load_head(model, backbone.kept)
    return model.eval()


def kept() -> dict[str, Tensor]:
    return backbones.load(FILE, keep=("depth",)).kept


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    return outputs("mim_depth_swinv2")


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    error = float((found - expected).abs().max() / expected.abs().max())
    assert error < CLOSE, error


@torch.no_grad()
def test_square(reference: dict[str, Tensor]) -> None:
    model, crop = loaded((96, 96)), reference["image"][..., :96]
    assert_close(model.depth(crop), reference["square_depth"])
    maps = model.head.get_submodule("deconv_layers")(model.backbone.encode(crop))
    assert_close(maps, reference["square_decoder_deconv"])


@torch.no_grad()
@pytest.mark.parametrize("name", ["small", "odd"])
def test_sizes_that_are_padded(name: str, reference: dict[str, Tensor]) -> None:
    """The published code leaves the padding in; an estimate is of the image alone."""
    images, expected = reference[f"image_{name}"], reference[f"{name}_depth"]
    height, width = images.shape[2:]
    model = loaded((height, width), test={"flip": False})
    assert_close(model.depth(images), expected)
    assert_close(model.estimate(images), expected[..., :height, :width])


@torch.no_grad()
def test_flip_over_the_whole_image(reference: dict[str, Tensor]) -> None:
    assert_close(loaded((96, 128)).estimate(reference["image"]), reference["depth_flip_full"])


@torch.no_grad()
def test_windows_and_flip(reference: dict[str, Tensor]) -> None:
    model = loaded((96, 96), test={"size": (96, 128), "windows": 2})
    assert_close(model.estimate(reference["image"]), reference["depth_shift_flip"])


def test_account_of_the_file() -> None:
    """Kept or not, the encoder is the same and every tensor is in the report."""
    without, with_it = backbones.load(FILE), backbones.load(FILE, keep=("depth",))
    assert without.kept == {}
    assert len(with_it.kept) == 29
    assert all(name.startswith(("decoder.", "last_layer_depth.")) for name in with_it.kept)
    assert with_it.parameters_sha256() == without.parameters_sha256()
    assert set(with_it.key_report.used) == set(without.key_report.used) | set(with_it.kept)
    assert set(with_it.key_report.dropped) == {"index buffer"}
    assert not set(with_it.state_dict()) & set(with_it.kept)


def test_files_without_a_depth_decoder() -> None:
    with pytest.raises(backbones.LoadError, match="has no depth to keep"):
        backbones.load(checkpoint("simmim_swinv2"), keep=("depth",))


@pytest.mark.parametrize("name", ["nyuv2", "kitti"])
def test_figures_stand_beside_their_own_protocol_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose size is taken for that of a published one."""
    monkeypatch.setattr(published, "SIZES", {8: "base"})
    sets = ("backbone.input_size=[96, 96]", "backbone.window_size=[6, 6, 6, 3]", "test.size=null")
    options = RunOptions(task="depth", scale="paper", dataset=name, data_root=FILE.parent)

    def opened(*more: str) -> Published:
        given = recipes.resolve(replace(options, sets=(*sets, "test.windows=1", *more)))
        return published.open_model(FILE, given)

    assert opened().figures == published.FIGURES[name, "base"]
    for change, said in (
        ("measure.crop=none", "they are of `.* images, crop .* m`, not of `.*no crop"),
        ("measure.max_depth=5", "m`, not of `.*-5 m`"),
        ("data.limit=10", "all the published images"),
        ("data.partial=true", "all the published images"),
    ):
        found = opened(change)
        assert found.figures == {}
        assert re.search(said, found.notes[0])
        assert found.model.recipe.reach[1] == {"nyuv2": 10, "kitti": 80}[name]


def test_the_published_figures() -> None:
    """RMSE as the README's table and the papers have it, and the column that is named abs_rel."""
    found = {key: figures["RMSE"] for key, figures in published.FIGURES.items()}
    assert found == {
        ("nyuv2", "base"): 0.304,
        ("nyuv2", "large"): 0.287,
        ("kitti", "base"): 2.050,
        ("kitti", "large"): 1.966,
    }
    for size, value in (("base", 0.044), ("large", 0.036)):
        both = published.FIGURES["nyuv2", size]
        assert both["AbsRel"] == both["log10"] == value


def test_sizes_are_read_off() -> None:
    found = published.recipe_of(recipe(head={"type": "linear"}), kept()).head
    assert (found.type, found.filters, found.channels) == ("deconvolution", (16, 16, 16), 8)
    with pytest.raises(backbones.LoadError, match=r"not that of MIM-Depth-Estimation.*nothing"):
        published.recipe_of(recipe(), {})


def test_whole_or_not_at_all() -> None:
    tensors = kept()
    model = loaded((96, 96))
    before = {name: value.clone() for name, value in model.head.state_dict().items()}
    for changed, said in (
        (tensors | {"decoder.more": torch.zeros(1)}, "not in the model: more"),
        (_without(tensors, "last_layer_depth.2.bias"), "not in the file: last_layer_depth.2.bias"),
        (tensors | {"decoder.conv_layers.0.bias": torch.zeros(9)}, "conv_layers.0.bias .file .9,"),
    ):
        with pytest.raises(backbones.LoadError, match=said):
            published.load_head(model, {name: 2 * value for name, value in changed.items()})
    after = model.head.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def _without(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in tensors.items() if key != name}
