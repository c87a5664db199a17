"""The pyramids, and what of a recipe follows from the encoder."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional

from backbones import FeatureInfo
from tasks.contract import RecipeError
from tasks.detection.fitting import fit
from tasks.detection.parts import heads, pyramid
from tasks.detection.recipe import NeckRecipe
from tests.tasks.detection.batches import recipe

VITDET = Path(__file__).parents[2] / "fixtures" / "recipes" / "layer_ids" / "vitdet_base.json"


def encoder(*infos: tuple[int, int]) -> Any:
    return SimpleNamespace(
        feature_info=tuple(FeatureInfo(*info) for info in infos), spec=SimpleNamespace(name="net")
    )


def simple(stride: int, strides: tuple[float, ...], norm: str = "layer") -> pyramid.SimplePyramid:
    neck = NeckRecipe.model_validate(
        {"type": "simple", "channels": 6, "norm": norm, "strides": strides}
    )
    return pyramid.SimplePyramid(neck, FeatureInfo(16, stride))


def test_parameters_are_vitdets() -> None:
    """Every name of detectron2's neck, ours with `levels.i` for its `simfp_i+2`; of the heads as
    many parameters."""
    names = [name for name in json.loads(VITDET.read_text()) if not name.startswith("backbone.net")]
    ours = [name for name, _ in simple(16, (4, 8, 16, 32)).named_parameters()]
    theirs = [name.removeprefix("backbone.") for name in names if name.startswith("backbone.")]
    assert sorted(f"simfp_{int(n[7]) + 2}{n[8:]}" for n in ours) == sorted(theirs)
    given = recipe(
        (64, 64),
        rpn={"convolutions": 2},
        roi={"convolutions": 4, "linears": 1, "norm": "layer", "mask_convolutions": 4},
    )
    for module, prefix in (
        (heads.rpn_head(given), "proposal_generator"),
        (heads.box_head(given, 3), "roi_heads.box"),
        (heads.mask_head(given, 3), "roi_heads.mask"),
    ):
        expected = sum(name.startswith(prefix) for name in names)
        assert len(list(module.parameters())) == expected > 0


@pytest.mark.parametrize(("stride", "strides"), [(16, (4, 8, 16, 32)), (8, (4, 8, 16, 32))])
def test_simple_pyramid_shapes(stride: int, strides: tuple[float, ...]) -> None:
    neck = simple(stride, strides)
    x = torch.randn(2, 16, 128 // stride, 64 // stride)
    maps = neck((x, x))
    expected = [(128 // s, 64 // s) for s in (4, 8, 16, 32, 64)]
    assert [tuple(each.shape[2:]) for each in maps] == expected
    assert (maps[-1] == maps[-2][..., ::2, ::2]).all()


@torch.no_grad()
def test_simple_pyramid_is_its_definition() -> None:
    """Deconvolutions that halve the channels, LayerNorm over channels and GELU between them; the
    last map max-pooled; 1x1 and 3x3 convolutions with LayerNorm."""
    neck = simple(16, (4, 8, 16, 32))
    neck.initialise(torch.Generator().manual_seed(0))
    for parameter in neck.parameters():
        parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 16, 6, 4, generator=torch.Generator().manual_seed(2))
    values = dict(neck.named_parameters())

    def norm(y: torch.Tensor, name: str) -> torch.Tensor:
        centred = y - y.mean(1, keepdim=True)
        unit = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        weight, bias = (values[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
        return unit * weight + bias

    def up(y: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = values[f"{name}.weight"], values[f"{name}.bias"]
        made = torch.einsum("bchw,cdij->bdhiwj", y, weight)
        return made.flatten(4, 5).flatten(2, 3) + bias[:, None, None]

    def out(y: torch.Tensor, level: int, first: int) -> torch.Tensor:
        for number in (first, first + 1):
            weight = values[f"levels.{level}.{number}.weight"]
            y = functional.conv2d(y, weight, padding=weight.shape[-1] // 2)
            y = norm(y, f"levels.{level}.{number}.norm")
        return y

    twice = functional.gelu(norm(up(x, "levels.0.0"), "levels.0.1"))
    expected = [
        out(up(twice, "levels.0.3"), 0, 4),
        out(up(x, "levels.1.0"), 1, 1),
        out(x, 2, 0),
        out(x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2)), 3, 1),
    ]
    for found, wanted in zip(neck((x,)), expected, strict=False):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_fpn_norms_each_map_and_takes_the_last_of_equal_stride() -> None:
    infos = tuple(FeatureInfo(*i) for i in ((4, 2), (4, 4), (6, 8), (6, 16), (8, 16)))
    neck = NeckRecipe.model_validate({"channels": 5, "strides": (4, 8, 16)})
    built = pyramid.FeaturePyramid(neck, infos)
    assert built.taken == [1, 2, 4]
    built.initialise(torch.Generator().manual_seed(0))
    drawn = torch.Generator().manual_seed(1)
    maps = tuple(100 * torch.randn(1, c, 64 // s, 64 // s, generator=drawn) for c, s in infos)
    found = built(maps)
    assert [each.shape[-1] for each in found] == [16, 8, 4, 2]
    scaled = built(tuple(7 * each + 3 for each in maps))
    for one, other in zip(found, scaled, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    bare = pyramid.FeaturePyramid(neck.model_copy(update={"map_norm": False}), infos)
    assert not list(bare.norms.parameters())


def test_neck_follows_the_encoder() -> None:
    swin = encoder((8, 4), (8, 8), (8, 16), (8, 32))
    given = recipe((64, 64))
    assert fit(given, swin) == (given, ())
    fitted, notes = fit(given, encoder((8, 16)))
    assert fitted.neck.type == "simple" and fitted.neck.strides == (4, 8, 16, 32)
    assert notes == ("neck: simple in place of fpn, since the encoder has one map",)
    assert fit(fitted, encoder((8, 16))) == (fitted, ())
    back, notes = fit(fitted, swin)
    assert back == given and "fpn in place of simple" in notes[0]


@pytest.mark.parametrize(
    ("stride", "strides"), [(14, (3.5, 7, 14, 28)), (12, (3, 6, 12, 24)), (10, (5, 10, 20, 40))]
)
def test_strides_follow_patches(stride: int, strides: tuple[float, ...]) -> None:
    fitted, notes = fit(recipe((64, 64), neck={"type": "simple"}), encoder((8, stride)))
    assert fitted.neck.strides == strides and "in place of 4, 8, 16, 32" in notes[0]
    assert fit(fitted, encoder((8, stride))) == (fitted, ())


def test_strides_of_several_maps() -> None:
    wide, notes = fit(recipe((64, 64)), encoder((8, 2), (8, 4), (8, 8), (8, 16), (8, 32)))
    assert wide.neck.strides == (4, 8, 16, 32) and not notes
    coarse, notes = fit(recipe((64, 64)), encoder((8, 8), (8, 16), (8, 32)))
    assert coarse.neck.strides == (8, 16, 32)
    assert notes == ("neck: strides 8, 16, 32 in place of 4, 8, 16, 32",)


def test_refusals() -> None:
    with pytest.raises(RecipeError, match="should double from map to map, got 4, 8, 32"):
        fit(recipe((64, 64), neck={"strides": (4, 8, 32)}), encoder((8, 16)))
    with pytest.raises(RecipeError, match="net has stride 16; give powers of two times 16"):
        fit(recipe((64, 64), neck={"strides": (3, 6, 12)}), encoder((8, 16)))
    with pytest.raises(RecipeError, match="strides of net's maps should double"):
        fit(recipe((64, 64)), encoder((8, 4), (8, 16)))
