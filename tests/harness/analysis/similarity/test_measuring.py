"""Similarity of layers of an encoder over images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import backbones
from harness.analysis.images import Images
from harness.analysis.rows import Found
from harness.analysis.similarity import between, measure
from harness.analysis.similarity.cka import Minibatches, gram
from harness.analysis.similarity.masking import hidden
from harness.errors import UserError

VIT = {"embed_dim": 12, "depth": 3, "num_heads": 2, "patch_size": 8}
SWIN = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": 1, "window_size": 4}


class Noise(Images):
    """Images of noise."""

    name, sha256, size = "noise", "0" * 64, (32, 32)

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> Any:
        return np.random.default_rng(index).integers(0, 256, (*self.size, 3), dtype=np.uint8)


def encoder(arch: dict[str, Any], family: str = "vit", seed: int = 0) -> backbones.Backbone:
    return backbones.create(family, arch, 32, seed).eval()


def nothing(*_: Any, **__: Any) -> None:
    """Tells nobody."""


def look(backbone: backbones.Backbone, count: int = 12, **options: Any) -> Found:
    asked = {"batch_size": 4, "device": "cpu", "advance": nothing, "minibatch": 6} | options
    return measure(backbone, Noise(count), **asked)


def values(found: Found, measure_name: str) -> dict[tuple[int | None, int | None], float]:
    return {(r.block, r.other_block): r.value for r in found.rows if r.measure == measure_name}


def test_rows_are_those_of_the_tokens_without_prefix_and_of_their_mean() -> None:
    backbone = encoder(VIT)
    found = look(backbone)
    batch = Noise(12).batch(0, 12)
    with torch.no_grad():
        blocks = [each[:, 1:] for each in backbone.blocks(batch)]
    for form, features in (("tokens", blocks), ("pooled", [b.mean(dim=1) for b in blocks])):
        expected = Minibatches()
        for part in (slice(0, 6), slice(6, 12)):
            expected.add([gram(each[part]) for each in features])
        cka, _ = expected.estimate()
        measured = values(found, f"similarity.cka.{form}")
        assert len(measured) == 9
        for pair, value in measured.items():
            assert value == pytest.approx(cka[pair], abs=1e-4)


@pytest.mark.parametrize("family", ["vit", "swin"])
def test_the_batch_size_changes_nothing(family: str) -> None:
    backbone = encoder(VIT if family == "vit" else SWIN, family)
    whole = look(backbone, batch_size=16)
    for size in (1, 5):
        other = look(backbone, batch_size=size)
        assert [r[:7] for r in other.rows] == [r[:7] for r in whole.rows]
        # Rounding of the encoder in float32.
        assert [r.value for r in other.rows] == pytest.approx(
            [r.value for r in whole.rows], rel=1e-4, abs=1e-5
        )


def test_maps_of_different_stages_are_compared_on_the_coarser_grid() -> None:
    backbone = encoder(SWIN, "swin")
    measured = values(look(backbone, minibatch=12), "similarity.cka.tokens")
    with torch.no_grad():
        maps = backbone.blocks(Noise(12).batch(0, 12))
    fine = torch.nn.functional.avg_pool2d(maps[0], 2)
    expected = Minibatches()
    expected.add([gram(fine), gram(maps[1])])
    assert measured[0, 1] == pytest.approx(expected.estimate()[0][0, 1], abs=1e-4)
    assert len(measured) == 16


def test_images_left_over_are_counted() -> None:
    found = look(encoder(VIT), 14)
    assert {r.n for r in found.rows} == {12}
    assert any("2 of 14 images" in note for note in found.notes)
    assert {r.n for r in look(encoder(VIT), 16).rows} == {16}


@pytest.mark.parametrize(("count", "minibatch"), [(3, 6), (12, 3)])
def test_too_few_images_are_refused(count: int, minibatch: int) -> None:
    with pytest.raises(UserError, match="needs 4 images"):
        look(encoder(VIT), count, minibatch=minibatch)


def test_an_encoder_beside_itself_and_another() -> None:
    first, second = encoder(VIT), encoder(VIT, seed=1)
    own = values(look(first), "similarity.cka.tokens")
    asked: dict[str, Any] = {
        "batch_size": 4, "device": "cpu", "advance": nothing, "minibatch": 6,
    }  # fmt: skip
    same = values(between(first, first, Noise(12), **asked), "similarity.between.tokens")
    assert same == pytest.approx(own, abs=1e-6)
    other = values(between(first, second, Noise(12), **asked), "similarity.between.tokens")
    assert max(other.values()) < 0.999
    swapped = values(between(second, first, Noise(12), **asked), "similarity.between.tokens")
    assert swapped == pytest.approx({(j, i): v for (i, j), v in other.items()}, abs=1e-6)


def test_grids_that_differ_are_compared_pooled_or_not_at_all() -> None:
    first, second = encoder(VIT), encoder(VIT | {"patch_size": 16})
    asked: dict[str, Any] = {
        "batch_size": 4, "device": "cpu", "advance": nothing, "minibatch": 6,
    }  # fmt: skip
    with pytest.raises(UserError, match=r"4x4 cells.*2x2.*--pool"):
        between(first, second, Noise(12), **asked)
    found = between(first, second, Noise(12), **asked, pool=True)
    assert len(values(found, "similarity.between.tokens")) == 9


def test_what_is_hidden_depends_on_the_number_of_the_image_alone() -> None:
    images = torch.rand(5, 3, 20, 32, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)

    def shown(batch: Tensor, first: int) -> Tensor:
        return hidden(batch, first, 0.6, 8, mean, seed=0)

    whole = shown(images, 3)
    assert torch.equal(torch.cat([shown(images[i : i + 1], 3 + i) for i in range(5)]), whole)
    covered = (whole == mean).all(dim=1)
    # 12 squares of 8 pixels, of which the lowest row is cut to 4: 7 of them are hidden.
    squares = covered[:, ::8, ::8].flatten(1)
    assert squares.sum(dim=1).tolist() == [7] * 5
    assert torch.equal(whole[~covered.unsqueeze(1).expand_as(whole)],
                       images[~covered.unsqueeze(1).expand_as(whole)])  # fmt: skip
    assert not torch.equal(shown(images, 4), whole)


def test_blocks_that_do_not_differ_have_no_rows() -> None:
    class Constant(Noise):
        def read(self, index: int) -> Any:
            return np.full((*self.size, 3), 9, np.uint8)

    found = measure(
        encoder(VIT), Constant(8), batch_size=8, device="cpu", advance=nothing, minibatch=8
    )
    assert all(np.isfinite(r.value) for r in found.rows)
