"""What lies between an encoder's maps and depth, against definitions that say the same slowly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones import FeatureInfo
from tasks import openmmlab
from tasks.depth import heads
from tasks.depth.heads.bins import expected
from tasks.depth.heads.contract import Head
from tasks.depth.heads.deconvolution import DeconvolutionHead
from tasks.depth.heads.dpt import DPTHead
from tests.tasks.depth.networks import HEADS, recipe

PLAIN = (FeatureInfo(12, 16),) * 4
STAGES = tuple(FeatureInfo(8 * 2**k, 4 * 2**k) for k in range(4))


def made(kind: str, infos: tuple[FeatureInfo, ...], seed: int = 0) -> Head:
    several = kind in heads.SEVERAL
    head = {"type": kind, "filters": (8,) * 3 if infos is STAGES else (8,) * 2}
    built = heads.build(recipe(head=head), infos if several else infos[-1:])
    built.initialise(torch.Generator().manual_seed(seed))
    return built


def drawn(infos: tuple[FeatureInfo, ...], side: int = 64, scale: float = 1.0) -> list[Tensor]:
    random = torch.Generator().manual_seed(5)
    sizes = [(2, info.channels, side // info.stride, side // info.stride) for info in infos]
    return [scale * torch.randn(size, generator=random) for size in sizes]


@pytest.mark.parametrize("infos", [PLAIN, STAGES], ids=["plain", "stages"])
@pytest.mark.parametrize("kind", HEADS)
def test_metres_and_gradients(kind: str, infos: tuple[FeatureInfo, ...]) -> None:
    """Depth lies in (0, max] however large the maps, and each parameter and map has a part in it;
    but for the linear probe it comes out at the input's size."""
    built = made(kind, infos)
    maps = drawn(infos if kind in heads.SEVERAL else infos[-1:])
    for x in maps:
        x.requires_grad_()
    depth = built(maps)
    side = 64 if kind != "linear" else 4 * maps[-1].shape[-1]
    assert depth.shape == (2, 1, side, side)
    assert depth.dtype == torch.float32
    if kind == "deconvolution":
        built.init_std = 0.3  # type: ignore[assignment]
        built.initialise(torch.Generator().manual_seed(0))
        depth = built(maps)
    named = dict(built.named_parameters())
    (depth * torch.rand(depth.shape)).sum().backward()
    for x in (*named.values(), *maps):
        assert x.grad is not None
        assert x.grad.abs().max() > 0
    with torch.no_grad():
        for extreme in (1e-6, 1.0, 1e5):
            found = built([extreme * x for x in maps])
            assert (found > 0).all()
            assert (found <= 10 * (1 + 1e-6)).all()
            assert found.log().isfinite().all()


@pytest.mark.parametrize("kind", HEADS)
def test_initialised_from_the_seed_alone(kind: str) -> None:
    first, again, other = made(kind, PLAIN), made(kind, PLAIN), made(kind, PLAIN, seed=1)
    for norm in (m for m in again.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.constant_(norm.weight, 5.0)
        norm.running_mean.fill_(3.0)  # type: ignore[union-attr]
    before = torch.get_rng_state()
    again.initialise(torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    one, two = first.state_dict(), again.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], value) for name, value in other.state_dict().items())


def test_published_initialisation() -> None:
    info = FeatureInfo(256, 32)
    head = DeconvolutionHead(info, (32, 32, 32), 64, 10.0, 1e-3)
    head.initialise(torch.Generator().manual_seed(0))
    weights = [p for p in head.parameters() if p.ndim == 4]
    assert len(weights) == 6
    for weight in weights[:-1]:
        assert weight.std().item() == pytest.approx(1e-3, rel=0.05)
    biases = [m.bias for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert all((bias == 0).all() for bias in biases if bias is not None)
    assert head.eval()([torch.randn(1, 256, 2, 2)]).mean().item() == pytest.approx(5, abs=1e-3)


def test_torchs_own_initialisation() -> None:
    """A layer's numbers spread as those of a layer that torch has just built."""
    for layer in (nn.Conv2d(64, 48, 3), nn.ConvTranspose2d(64, 48, 2, stride=2)):
        holder = made("linear", PLAIN)
        holder.add_module("more", layer)
        limits = [p.abs().max().item() for p in layer.parameters()]
        holder.initialise(torch.Generator().manual_seed(0))
        found = [p.abs().max().item() for p in layer.parameters()]
        assert found == pytest.approx(limits, rel=0.1)


@pytest.mark.parametrize(
    ("stride", "filters", "side"),
    [(32, (8, 8, 8), 64), (16, (8, 8), 64), (8, (8,), 64), (4, (), 64), (2, (), 64), (1, (), 64)],
)
def test_deconvolutions_end_at_the_inputs_size(
    stride: int, filters: tuple[int, ...], side: int
) -> None:
    head = DeconvolutionHead(FeatureInfo(6, stride), filters, 8, 10.0, 1e-3).eval()
    assert head([torch.randn(1, 6, 64 // stride, 64 // stride)]).shape[2:] == (side, side)


def test_bins() -> None:
    """Means over the depths as numpy's float64 has them."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(2, 7, 3, 4)) * 5
    scores[0, :, 0, 0] = -1
    weights = np.maximum(scores, 0) + 0.1
    depths = 0.5 + np.arange(7) * (9.5 / 6)
    mean = (weights * depths[:, None, None]).sum(1) / weights.sum(1)
    found = expected(torch.from_numpy(scores), 0.5, 10.0)
    np.testing.assert_allclose(found[:, 0].numpy(), mean, rtol=1e-6)
    assert found[0, 0, 0, 0].item() == pytest.approx(5.25)


@pytest.mark.parametrize("kind", HEADS)
def test_half_precision_ends_before_the_depth(kind: str) -> None:
    """Under autocast depth has more steps than bfloat16 has between 4 and 8 m, 1/32 m each."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        depth = made(kind, PLAIN)(drawn(PLAIN if kind in heads.SEVERAL else PLAIN[-1:]))
    assert depth.dtype == torch.float32
    assert (depth != depth.bfloat16().float()).any()
    torch.testing.assert_close(
        expected(torch.full((1, 3, 1, 1), 1.0).bfloat16(), 1.0, 2.003),
        torch.full((1, 1, 1, 1), 1.5015),
    )


def test_linear_probe() -> None:
    """Norm, x4, then scores: the order in which DINOv2 has them."""
    head = made("linear", PLAIN).eval()
    norm, scores = head.get_submodule("norm"), head.get_submodule("scores")
    norm.running_mean.copy_(torch.linspace(-1, 1, 12))  # type: ignore[union-attr, operator]
    norm.running_var.copy_(torch.linspace(0.5, 2, 12))  # type: ignore[union-attr, operator]
    maps = drawn(PLAIN[-1:], scale=3)
    apart = functional.interpolate(norm(maps[0]), scale_factor=4, mode="bilinear")
    torch.testing.assert_close(head(maps), expected(scores(apart), 1e-3, 10.0))


def doubled(x: Tensor, factor: int) -> Tensor:
    return x.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def unit(layers: nn.Module, x: Tensor) -> Tensor:
    first, second = layers.get_submodule("first"), layers.get_submodule("second")
    return second(first(x).clamp(min=0)).clamp(min=0) + x  # type: ignore[no-any-return]


def test_multiscale_probe() -> None:
    """Step by step as the paper's code has it, x2 last."""
    head: Any = made("multiscale", PLAIN)
    maps = drawn(PLAIN, scale=3)
    levels = [doubled(f(x), 2) for f, x in zip(head.projections, maps, strict=True)]
    x = unit(head.after[3], levels[3])
    for k in (2, 1, 0):
        x = unit(head.after[k], unit(head.before[k], levels[k]) + x)
    scores = doubled(head.scores(doubled(x, 4)), 2)
    torch.testing.assert_close(head(maps), expected(scores, 1e-3, 10.0))


def test_dpt_is_mmsegmentations() -> None:
    """Reassembling and fusion of a plain encoder's maps, with its weights in mmsegmentation's
    layers, which have no bias in the residual units."""
    theirs = openmmlab.load("mmseg.models.decode_heads.dpt_head")
    head: Any = made("dpt", PLAIN)
    reassemble = theirs.ReassembleBlocks(12, [8] * 4, readout_type="ignore")
    blocks = [
        theirs.FeatureFusionBlock(8, {"type": "ReLU"}, None, align_corners=False) for _ in range(4)
    ]
    for k, level in enumerate(head.reassembled):
        _copy(reassemble.projects[k].conv, level[0])
        if k != 2:
            _copy(reassemble.resize_layers[k], level[1])
    for k, fusion in enumerate(head.fused):
        pairs = [(fusion.after, blocks[k].res_conv_unit2)]
        pairs += [] if fusion.before is None else [(fusion.before, blocks[k].res_conv_unit1)]
        for own, other in pairs:
            nn.init.zeros_(own.first.bias)
            nn.init.zeros_(own.second.bias)
            _copy(other.conv1.conv, own.first)
            _copy(other.conv2.conv, own.second)
        _copy(blocks[k].project.conv, fusion.out)
    maps = drawn(PLAIN)
    levels = reassemble([(x, x[:, :, 0, 0]) for x in maps])
    levels = [own[-1](x) for own, x in zip(head.reassembled, levels, strict=True)]
    for own, found, x in zip(head.reassembled, levels, maps, strict=True):
        torch.testing.assert_close(own(x), found)
    coarser, goal = None, None
    for k in (3, 2, 1, 0):
        # Their ReLU writes into what it is given.
        level = levels[k].clone()
        goal = blocks[k](level) if goal is None else blocks[k](goal, level)
        coarser = head.fused[k](levels[k], coarser)
        torch.testing.assert_close(coarser, goal)
    assert goal is not None
    assert goal.shape[2:] == (32, 32)


def _copy(layer: Any, own: Any) -> None:
    layer.weight.data.copy_(own.weight)
    if layer.bias is not None:
        layer.bias.data.copy_(own.bias)


@pytest.mark.parametrize(("stride", "sides"), [(14, (16, 8, 4, 2)), (8, (16, 8, 4, 2))])
def test_dpt_of_other_strides(stride: int, sides: tuple[int, ...]) -> None:
    infos = (FeatureInfo(12, stride),) * 4
    head = DPTHead(infos, 8, 10.0)
    count = 4 if stride == 14 else 8
    levels = [f(torch.randn(1, 12, count, count)) for f in head.reassembled]
    assert tuple(level.shape[-1] for level in levels) == sides
