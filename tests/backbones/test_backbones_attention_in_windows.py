"""Attention window by window: which tokens, which pairs, and that it is what `attention` gives."""

from collections import Counter
from math import ceil, dist, isnan, log

import pytest
import torch

import backbones
from tests.backbones import hieras
from tests.backbones.stages import SMALL, small

PLAIN = {"embed_dim": 24, "depth": 3, "num_heads": 3, "patch_size": 8}
IN_WINDOWS = {"window_size": 3, "global_blocks": (1,), "rel_pos": True}
NO_PREFIX = {"class_token": False, "pool": "mean"}
CASES = {
    "swin": ("swin", (64, 64), {}),
    "swin padded": ("swin", (70, 45), {}),
    "swin small maps padded": ("swin", (70, 45), {"pad_small_maps": True}),
    "swinv2": ("swinv2", (64, 96), {}),
    "swinv2 padded, odd window": ("swinv2", (72, 40), {"window_size": 5}),
    "mim_depth": ("swinv2", (40, 52), {"variant": "mim_depth"}),
    "hiera": ("hiera", (64, 96), {"q_pool": 3}),
    "hiera padded": ("hiera", (70, 45), {"q_pool": 2}),
    "vit in windows": ("vit", (40, 52), IN_WINDOWS),
    "vit": ("vit", (16, 24), {}),
    "vit without a prefix": ("vit", (13, 19), NO_PREFIX),
    "vit with registers": ("vit", (16, 24), {"reg_tokens": 4}),
    "vit with registers alone": ("vit", (16, 24), NO_PREFIX | {"reg_tokens": 2}),
    "vit with a distillation token": ("vit", (16, 24), {"dist_token": True}),
    "vit from outside": ("vit", (24, 24), {"patch_padding": 2}),
    "beit": ("beit", (13, 19), {}),
    "eva": ("eva", (13, 19), {}),
    "eva with registers": ("eva", (16, 24), {"reg_tokens": 4, "position_table": False}),
}
PREFIXES = {"vit": 1, "vit with registers": 5, "vit with registers alone": 2, "beit": 1, "eva": 1}
PREFIXES |= {"vit with a distillation token": 2, "vit from outside": 1, "eva with registers": 5}


def new(family, size, arch):
    """A new encoder in float64, all of whose parameters matter."""
    if family == "hiera":
        return hieras.new(size, arch=arch).double()
    if family.startswith("swin"):
        return small(family, size, arch=arch).double()
    backbone = backbones.create(family, PLAIN | arch, size, 0)
    random = torch.Generator().manual_seed(1)
    for parameter in backbone.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=random)
    return backbone.double()


def images(size, count=2):
    random = torch.Generator().manual_seed(2)
    return torch.rand(count, 3, *size, generator=random).double()


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """Name, encoder, and what each block has in windows and over the map."""
    family, size, arch = CASES[request.param]
    with torch.no_grad():
        backbone = new(family, size, arch)
        windows = list(backbone.attention_in_windows(images(size)))
        maps = list(backbone.attention(images(size)))
    return request.param, backbone, windows, maps


def test_shapes_and_rows(case):
    name, backbone, windows, maps = case
    assert len(windows) == len(maps) == len(backbone.blocks(images(CASES[name][1])))
    for found, whole in zip(windows, maps, strict=True):
        images_, count, heads, queries, keys = found.probabilities.shape
        assert (images_, heads) == whole.probabilities.shape[:2]
        assert found.query_positions.shape == (count, queries, 2)
        assert found.key_positions.shape == (count, keys, 2)
        assert found.allowed.shape == (count, queries, keys)
        assert found.allowed.dtype == torch.bool
        assert (found.block, found.stage) == (whole.block, whole.stage)
        assert found.prefix == PREFIXES.get(name, 0)
        total = found.probabilities.sum(-1)
        assert torch.allclose(total, torch.ones_like(total), rtol=0, atol=1e-12)


def test_pair_by_pair_it_is_the_attention_over_the_map(case):
    """Tokens are found again by their places; what is left over there is 0, or on padding."""
    _, _, windows, maps = case
    for found, whole in zip(windows, maps, strict=True):
        queries, keys = numbers(whole.query_positions), numbers(whole.key_positions)
        padding = len(keys)
        rest = whole.probabilities.clone()
        seen = []
        for window in range(found.probabilities.shape[1]):
            inner = found.probabilities[:, window]
            rows = places(found.query_positions[window], found.prefix)
            columns = places(found.key_positions[window], found.prefix)
            real = [k for k, place in enumerate(columns) if place is not None]
            beside = [k for k, place in enumerate(columns) if place is None]
            at = [keys[columns[k]] for k in real]
            for q, place in enumerate(rows):
                if place is None:
                    continue
                query = queries[place]
                seen.append(query)
                assert torch.equal(rest[:, :, query, at], inner[:, :, q, real])
                rest[:, :, query, at] = 0
                added = rest[:, :, query, padding:].sum(-1) - inner[:, :, q, beside].sum(-1)
                assert added.abs().max() < 1e-12
        assert not rest[..., :padding].any()
        assert sorted(seen) == list(range(whole.probabilities.shape[2]))


def places(positions, prefix):
    """What tells tokens apart: the number of one that comes first, a place, None for padding."""
    found = [tuple(place) for place in positions.tolist()]
    return [
        number if number < prefix else None if isnan(place[0]) else place
        for number, place in enumerate(found)
    ]


def numbers(positions):
    """Number of each token of a whole map, by what tells it apart."""
    nowhere = positions.isnan().any(1)
    prefix = int((~nowhere).int().argmax())
    told = places(positions, prefix)
    return {place: number for number, place in enumerate(told) if place is not None}


def test_allowed_pairs_are_those_of_the_same_piece_of_the_map(case):
    """Of two cells, where each is: never a comparison of windows as the network numbers them."""
    name, backbone, windows, _ = case
    for found in windows:
        pieces = pieces_of(backbone, found)
        seen = {key for each in found.key_positions for key in places(each, found.prefix)}
        sizes = Counter(pieces(key) for key in seen - {None})
        for window, allowed in enumerate(found.allowed.tolist()):
            queries = places(found.query_positions[window], found.prefix)
            keys = places(found.key_positions[window], found.prefix)
            for query, row in zip(queries, allowed, strict=True):
                expected = [
                    query is not None and key is not None and pieces(query) == pieces(key)
                    for key in keys
                ]
                assert row == expected, name
                # All that it may attend to is in this window.
                assert sum(row) == (0 if query is None else sizes[pieces(query)])


def pieces_of(backbone, found):
    """Return a function from a token's place to the piece of the map whose cells see each other."""
    family = backbone.spec.family
    if family in ("swin", "swinv2"):
        block = [each for stage in backbone.encoder.layers for each in stage.blocks][found.block]
        side, shift, pixels = block.windows.side, block.windows.shift, 4 * 2**found.stage
        return lambda place: tuple(piece(int(z // pixels), side, shift) for z in place)
    if family == "hiera" and backbone.arch.in_units(*number_in_stage(backbone, found)):
        return lambda place: tuple(int(z // 32) for z in place)
    if family == "vit" and backbone.arch.window_size and found.block != 1:
        return lambda place: tuple(int(z // 8) // 3 for z in place)
    return lambda place: 0


def piece(cell, side, shift):
    """Along an axis cut at shift, shift + side and so on: what comes before the first cut is rolled
    to the end of the last window, with which it has nothing to do."""
    return -1 if cell < shift else (cell - shift) // side


def number_in_stage(backbone, found):
    return found.stage, found.block - sum(backbone.arch.depths[: found.stage])


def test_padding_has_weight_and_is_not_allowed():
    backbone = new("swin", (70, 45), {})
    found = next(backbone.attention_in_windows(images((70, 45))))
    outside = found.key_positions[..., 0].isnan()
    assert outside.sum() == ceil(18 / 4) * 4 * ceil(12 / 4) * 4 - 18 * 12
    assert not found.allowed.transpose(1, 2)[outside].any()
    assert not found.allowed[outside].any()
    assert found.probabilities.permute(1, 4, 0, 2, 3)[outside].min() > 0


UNIFORM = {
    "ViT-B/16 at 224": ("vit", 224, {"patch_size": 16}, [(116.492, 294.2, 5.2781)]),
    "ViT-B/14 at 224": ("vit", 224, {"patch_size": 14}, [(116.565, 297.0, 5.5452)]),
    "SwinV2 at 192": ("swinv2", 192, {"window_size": 12}, [
        (24.938, 62.2, 4.9698), (49.876, 124.5, 4.9698), (99.753, 248.9, 4.9698),
        (98.570, 226.3, 3.5835),
    ]),
    "Swin at 224": ("swin", 224, {"window_size": 7}, [
        (14.438, 33.9, 3.8918), (28.876, 67.9, 3.8918), (57.751, 135.8, 3.8918),
        (115.503, 271.5, 3.8918),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", UNIFORM)
def test_uniform_attention_over_the_allowed_keys(case):
    """Mean and largest distance in pixels and entropy: the study's table, of unshifted blocks."""
    family, side, arch, expected = UNIFORM[case]
    shape = SMALL | {"depths": (1, 1, 1, 1)} if family.startswith("swin") else PLAIN | {"depth": 1}
    backbone = backbones.create(family, shape | arch, side, 0)
    windows = list(backbone.attention_in_windows(torch.rand(1, 3, side, side)))
    for found, (mean, largest, entropy) in zip(windows, expected, strict=True):
        of = slice(found.prefix, None)
        queries, keys = found.query_positions[:, of].double(), found.key_positions[:, of].double()
        allowed = found.allowed[:, of, of].double()
        between = torch.cdist(queries, keys, compute_mode="donot_use_mm_for_euclid_dist")
        count = allowed.sum(-1)
        means = (between * allowed).sum(-1) / count
        assert means.mean().item() == pytest.approx(mean, abs=5e-4)
        assert (between * allowed).max().item() == pytest.approx(largest, abs=0.05)
        assert count.log().mean().item() == pytest.approx(entropy, abs=5e-5)


def test_a_shifted_block_s_uniform_attention_equals_its_definition():
    """Query by query over the un-rolled map of 14x14 cells, windows of 7 shifted by 3."""
    arch = {"window_size": 7, "depths": (2, 1, 1, 1)}
    backbone = small("swin", 56, arch=arch)
    found = list(backbone.attention_in_windows(torch.rand(1, 3, 56, 56)))[1]
    cells = [(x, y) for y in range(14) for x in range(14)]
    alike = {cell: tuple(piece(z, 7, 3) for z in cell) for cell in cells}
    for window in range(4):
        between = torch.cdist(found.query_positions[window], found.key_positions[window])
        for q, place in enumerate(found.query_positions[window].tolist()):
            cell = tuple(int(z // 4) for z in place)
            seen = [other for other in cells if alike[other] == alike[cell]]
            allowed = found.allowed[window, q]
            expected = sum(4 * dist(cell, other) for other in seen) / len(seen)
            assert allowed.sum().item() == len(seen)
            assert between[q][allowed].mean().item() == pytest.approx(expected, abs=1e-4)
            assert log(len(seen)) <= log(49)


HEADS = [
    "swin padded", "swinv2 padded, odd window", "hiera padded", "vit in windows", "vit", "beit",
    "eva with registers",
]  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_a_permutation_of_heads_permutes_the_result_and_nothing_else(name):
    """Heads of every block turned round; their outputs go where the next layer expects them."""
    family, size, arch = CASES[name]
    backbone = new(family, size, arch)
    before = list(backbone.attention_in_windows(images(size)))
    features = backbone.encode(images(size))
    heads = [found.probabilities.shape[2] for found in before]
    turn = [torch.arange(count).flip(0) for count in heads]
    for order, block in zip(turn, blocks_of(backbone), strict=True):
        permute(block.attn, order)
    if shared := getattr(backbone.encoder, "rel_pos_bias", None):
        permute(shared, turn[0])
    after = list(backbone.attention_in_windows(images(size)))
    assert max(heads) > 1
    for order, first, second in zip(turn, before, after, strict=True):
        close = {"rtol": 0, "atol": 1e-10}
        assert torch.allclose(first.probabilities[:, :, order], second.probabilities, **close)
        assert torch.equal(first.allowed, second.allowed)
        for ours, theirs in (
            (first.query_positions, second.query_positions),
            (first.key_positions, second.key_positions),
        ):
            assert torch.equal(ours.nan_to_num(-1), theirs.nan_to_num(-1))
    assert torch.allclose(backbone.encode(images(size)), features, rtol=1e-9, atol=1e-9)


def blocks_of(backbone):
    encoder = backbone.encoder
    if hasattr(encoder, "layers"):
        return [block for stage in encoder.layers for block in stage.blocks]
    return list(encoder.blocks)


def permute(attention, order):
    """Give each head the parameters of another."""
    heads = len(order)

    def rows(values, parts):
        apart = values.reshape(parts, heads, -1, *values.shape[1:])
        return apart[:, order].reshape(values.shape)

    for name, parameter in attention.named_parameters():
        if name in ("qkv.weight", "qkv.bias"):
            parameter.data = rows(parameter.data, 3)
        elif name in ("q_bias", "v_bias") or name.startswith(("q_proj.", "k_proj.", "v_proj.")):
            parameter.data = rows(parameter.data, 1)
        elif name == "proj.weight":
            parameter.data = rows(parameter.data.T, 1).T.contiguous()
        elif name == "relative_position_bias_table":
            parameter.data = parameter.data[:, order]
        elif name in ("logit_scale", "cpb_mlp.2.weight"):
            parameter.data = parameter.data[order]


@pytest.mark.parametrize("name", ["swin", "hiera", "vit in windows", "vit"])
def test_a_stopped_look_leaves_nothing_behind(name):
    family, size, arch = CASES[name]
    backbone = new(family, size, arch)
    features = backbone.encode(images(size))
    fused = [block.attn.fused_attn for block in blocks_of(backbone)]
    stream = backbone.attention_in_windows(images(size))
    next(stream)
    stream.close()
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in backbone.modules())
    assert [block.attn.fused_attn for block in blocks_of(backbone)] == fused
    assert torch.equal(backbone.encode(images(size)), features)


@pytest.mark.parametrize("family", ["swin", "hiera"])
def test_no_map_of_all_pairs_is_built(family):
    """At 256 pixels the first stage has 64x64 cells, 64 times the pairs that windows have. What any
    one tensor holds stays below a quarter of all pairs."""
    backbone = small(family, 256) if family == "swin" else hieras.new(256)
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            found = func(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                largest = max(largest, found.numel())
            return found

    with Watch():
        for _ in backbone.attention_in_windows(torch.rand(1, 3, 256, 256)):
            pass
    assert 0 < largest < 4096**2 / 4


def test_without_attention_one_line_says_so():
    backbone = backbones.create("convnext", {"dims": (8, 8, 8, 8), "depths": (1, 1, 1, 1)}, 32, 0)
    with pytest.raises(backbones.LoadError, match="no attention to look at"):
        backbone.attention_in_windows(torch.rand(1, 3, 32, 32))
