"""Each block has its own grid."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import backbones
from backbones import FeatureInfo
from harness.analysis.grids import Grid, tokens
from harness.errors import UserError
from tests.harness.engine.families import CASES


def backbone(blocks: list[torch.Tensor], infos: list[FeatureInfo], size: tuple[int, int]) -> Any:
    return SimpleNamespace(
        spec=SimpleNamespace(name="b"),
        feature_info=tuple(infos),
        input_size=size,
        blocks=lambda _: blocks,
    )


def test_prefix_tokens_are_left_out() -> None:
    block = torch.arange(2 * 8 * 3.0).reshape(2, 8, 3)
    ((found, grid),) = tokens(backbone([block], [FeatureInfo(3, 16)], (32, 40)), torch.empty(0))
    assert grid == Grid(0, 2, 3, 16) and grid.extent == (32, 48)
    assert torch.equal(found, block[:, 2:])


def test_maps_have_the_stage_of_their_size_and_channels() -> None:
    infos = [FeatureInfo(4, 4), FeatureInfo(8, 8), FeatureInfo(16, 8)]
    blocks = [torch.randn(1, 4, 8, 8), torch.randn(1, 8, 4, 4), torch.randn(1, 16, 4, 4)]
    found = tokens(backbone(blocks, infos, (32, 32)), torch.empty(0))
    assert [(grid.stage, grid.stride) for _, grid in found] == [(0, 4), (1, 8), (2, 8)]
    # Raster order: the second token lies right of the first.
    assert torch.equal(found[0][0][0, 1], blocks[0][0, :, 0, 1])


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([], "does not give the tokens after its blocks"),
        ([torch.randn(1, 5, 3, 3)], "fits none of its strides"),
        ([torch.randn(1, 3, 5)], "fits none of its strides"),
        ([torch.randn(1, 5)], "block 0 of b gives"),
    ],
)
def test_blocks_that_cannot_be_placed_are_refused(blocks: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        tokens(backbone(blocks, [FeatureInfo(5, 16)], (32, 32)), torch.empty(0))


def test_an_encoder_without_blocks_says_so() -> None:
    def none(_: torch.Tensor) -> list[torch.Tensor]:
        raise NotImplementedError

    found = backbone([], [FeatureInfo(5, 16)], (32, 32))
    found.blocks = none
    with pytest.raises(UserError, match="neither similarity nor spectrum nor probes"):
        tokens(found, torch.empty(0))


@pytest.mark.parametrize("size", [(64, 64), (72, 104)])
@pytest.mark.parametrize("name", sorted(CASES))
def test_blocks_of_every_family_have_their_places(name: str, size: tuple[int, int]) -> None:
    """Also of inputs that no stride divides: the cells cover them and no row or column more."""
    family, arch, stride, _ = CASES[name]
    encoder = backbones.create(family, arch, size, seed=0).eval()
    with torch.no_grad():
        found = tokens(encoder, torch.rand(2, 3, *size))
    for values, grid in found:
        assert values.shape[:2] == (2, grid.rows * grid.columns)
        for extent, side in zip(grid.extent, size, strict=True):
            assert extent - grid.stride < side <= extent
    stages = [grid.stage for _, grid in found]
    assert stages == ([0, 1, 2, 3] if len(encoder.feature_info) == 4 else [0, 0])
    assert found[-1][1].stride == stride
