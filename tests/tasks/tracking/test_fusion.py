"""The fusion against slow definitions in float64, query by query."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from backbones.droppath import SampleKeys
from tasks.tracking.fusion.blocks import Attention, Block
from tasks.tracking.fusion.network import Fusion, Heads
from tasks.tracking.fusion.positions import Positions, relative_index
from tasks.tracking.recipe import ModelRecipe

TEMPLATE, SEARCH = (1, 2), (2, 3)
DIM, HEADS = 12, 3
CELLS = [
    (image, y, x)
    for image, (rows, columns) in enumerate((TEMPLATE, SEARCH))
    for y in range(rows)
    for x in range(columns)
]


def spread(module: nn.Module, seed: int = 0) -> nn.Module:
    random = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random, dtype=torch.float64) * 0.5
    return module.double()


def positions(of_template: bool) -> Positions:
    built = Positions(TEMPLATE, SEARCH, DIM, HEADS, of_template=of_template)
    spread(built)
    return built


def queries(of_template: bool) -> list[tuple[int, int, int]]:
    return CELLS if of_template else [cell for cell in CELLS if cell[0] == 1]


@pytest.mark.parametrize("of_template", [True, False])
def test_each_pairing_and_offset_has_an_entry_of_its_own(of_template: bool) -> None:
    """Equal where the images of query and key and the offset are, and nowhere else; none is left
    over."""
    index, entries = relative_index(TEMPLATE, SEARCH, of_template)
    seen: dict[tuple[int, ...], int] = {}
    for (i, (a, y, x)), (j, (b, v, u)) in itertools.product(
        enumerate(queries(of_template)), enumerate(CELLS)
    ):
        assert seen.setdefault((a, b, y - v, x - u), int(index[i, j])) == index[i, j]
    assert sorted(seen.values()) == list(range(entries))


@torch.no_grad()
@pytest.mark.parametrize("of_template", [True, False])
def test_positions_by_their_definition(of_template: bool) -> None:
    """q(n(p_i)) . k(n(p_j)) / sqrt(d) + b, in plain numbers."""
    built = positions(of_template)
    found = built()
    index, _ = relative_index(TEMPLATE, SEARCH, of_template)
    assert found.shape == (1, HEADS, len(queries(of_template)), len(CELLS))
    depth = DIM // HEADS
    places = (built.template, built.search)

    def normed(cell: tuple[int, int, int]) -> Tensor:
        image, y, x = cell
        place = places[image].rows[y] + places[image].columns[x]
        deviation = ((place - place.mean()) ** 2).mean().add(1e-5).sqrt()
        norm = places[image].norm
        return (place - place.mean()) / deviation * norm.weight + norm.bias

    for (i, query), (j, key) in itertools.product(
        enumerate(queries(of_template)), enumerate(CELLS)
    ):
        to_query = places[query[0]].query
        assert to_query is not None
        q = to_query.weight @ normed(query) + to_query.bias
        k = places[key[0]].key.weight @ normed(key) + places[key[0]].key.bias
        for head in range(HEADS):
            part = slice(head * depth, (head + 1) * depth)
            expected = float(q[part] @ k[part]) / math.sqrt(depth)
            expected += float(built.table[index[i, j], head])
            assert float(found[0, head, i, j]) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def slow_attention(layer: Attention, one: Tensor, others: Tensor, added: Tensor) -> Tensor:
    """Of one sample, (Q,dim), (K,dim) and (heads,Q,K)."""
    depth = DIM // HEADS
    q = one @ layer.query.weight.T + layer.query.bias
    k, v = (others @ layer.key_value.weight.T + layer.key_value.bias).split(DIM, dim=1)
    out = torch.zeros_like(q)
    for head, i in itertools.product(range(HEADS), range(len(one))):
        part = slice(head * depth, (head + 1) * depth)
        logits = k[:, part] @ q[i, part] / math.sqrt(depth) + added[head, i]
        weights = (logits - logits.max()).exp()
        out[i, part] = (weights / weights.sum()) @ v[:, part]
    return out @ layer.out.weight.T + layer.out.bias


def slow_block(block: Block, x: Tensor, others: Tensor, added: Tensor) -> Tensor:
    keys = block.norm(others) if block.norm_keys is None else block.norm_keys(others)
    x = x + slow_attention(block.attention, block.norm(x), keys, added)
    hidden = block.mlp[0](block.norm_mlp(x))
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    return x + block.mlp[2](hidden)


@torch.no_grad()
def test_fusion_by_its_definition() -> None:
    """Encoder blocks on all tokens, one decoder block of the search image's on all; one set of
    positions for each."""
    sizes = {"dim": DIM, "heads": HEADS, "encoder_blocks": 2}
    fusion = Fusion(TEMPLATE, SEARCH, ModelRecipe.model_validate(sizes), SampleKeys()).eval()
    spread(fusion)
    random = torch.Generator().manual_seed(1)
    template, search = (
        torch.randn(2, rows * columns, DIM, generator=random, dtype=torch.float64)
        for rows, columns in (TEMPLATE, SEARCH)
    )
    found = fusion(template, search)
    for sample in range(2):
        x = torch.cat([template[sample], search[sample]])
        for block in fusion.encoder:
            x = slow_block(block, x, x, fusion.encoder_positions()[0])
        expected = x[len(template[0]) :]
        expected = slow_block(fusion.decoder[0], expected, x, fusion.decoder_positions()[0])
        torch.testing.assert_close(found[sample], fusion.norm(expected), rtol=1e-9, atol=1e-10)


@torch.no_grad()
def test_positions_tell_the_images_apart() -> None:
    """Equal tokens in both images are seen by where they are: without positions they were all the
    same."""
    recipe = ModelRecipe.model_validate({"dim": DIM, "heads": HEADS, "encoder_blocks": 1})
    fusion = Fusion(TEMPLATE, SEARCH, recipe, SampleKeys()).eval()
    spread(fusion)
    random = torch.Generator().manual_seed(1)
    one, other = torch.randn(2, 1, 1, DIM, generator=random, dtype=torch.float64)
    template, search = one.expand(1, 2, DIM), other.expand(1, 6, DIM)
    found = fusion(template, search)[0]
    assert (found - found[:1]).abs().amax(dim=1)[1:].min() > 1e-3
    for name, parameter in fusion.named_parameters():
        if "positions" in name:
            parameter.zero_()
    blind = fusion(template, search)[0]
    torch.testing.assert_close(blind, blind[:1].expand_as(blind))


@torch.no_grad()
def test_heads_keep_raster_order() -> None:
    heads = Heads(DIM)
    spread(heads)
    random = torch.Generator().manual_seed(1)
    tokens = torch.randn(2, 6, DIM, generator=random, dtype=torch.float64)
    found = heads(tokens, SEARCH)
    assert found.scores.shape == (2, 2, 3) and found.boxes.shape == (2, 2, 3, 4)
    for y, x in itertools.product(range(2), range(3)):
        alone = heads(tokens[:, 3 * y + x, None], (1, 1))
        torch.testing.assert_close(found.scores[:, y, x], alone.scores[:, 0, 0])
        torch.testing.assert_close(found.boxes[:, y, x], alone.boxes[:, 0, 0])
    assert found.scores.min() > 0 and found.scores.max() < 1


def test_drop_path_begins_late_and_belongs_to_samples() -> None:
    """Linear over the blocks from the share on, in training; a sample has the same draws in any
    batch."""
    recipe = ModelRecipe.model_validate(
        {"dim": DIM, "heads": HEADS, "encoder_blocks": 3, "drop_path": 0.6}
    )
    keys = SampleKeys()
    fusion = Fusion(TEMPLATE, SEARCH, recipe, keys).train()
    spread(fusion)
    blocks = (*fusion.encoder, *fusion.decoder)
    drops = [drop for block in blocks for drop in (block.drop_attention, block.drop_mlp)]
    assert len({drop.stream for drop in drops}) == 8
    assert [drop.rate for drop in drops] == [0.0] * 8
    random = torch.Generator().manual_seed(1)
    template, search = (
        torch.randn(8, n, DIM, generator=random, dtype=torch.float64) for n in (2, 6)
    )
    whole = fusion(template, search)
    fusion.set_progress(0.4999)
    keys.values = torch.arange(8)
    torch.testing.assert_close(fusion(template, search), whole, rtol=0, atol=0)
    fusion.set_progress(0.5)
    assert [drop.rate for drop in drops[::2]] == pytest.approx([0.0, 0.2, 0.4, 0.6])
    dropped = fusion(template, search)
    assert (dropped - whole).abs().amax(dim=(1, 2)).max() > 1e-3
    keys.values = torch.tensor([5, 2])
    torch.testing.assert_close(fusion(template[[5, 2]], search[[5, 2]]), dropped[[5, 2]])
    torch.testing.assert_close(fusion.eval()(template[[5, 2]], search[[5, 2]]), whole[[5, 2]])
