"""Measures against loops over single weights, closed forms and invariances."""

import dataclasses
import math

import pytest
import torch

from backbones import WindowAttention
from harness.analysis.attention.cleaning import clean, layout
from harness.analysis.attention.conventions import of_name, rule
from tests.harness.analysis.attention.definition import Rows, by_head, by_pair
from tests.harness.analysis.attention.reference import attention, grid_positions, one_window

IMAGES, WINDOWS, HEADS, PREFIX, TOKENS = 2, 3, 3, 2, 9


def drawn(seed: int, dtype: torch.dtype = torch.float64, sharpness: float = 3.0) -> WindowAttention:
    """Windows with prefix tokens, forbidden pairs that have weight, and padding.

    Window 1 has a query that may attend to itself alone, window 2 ends with two padded tokens; one
    row has its whole weight on a prefix token, another on a padded key.
    """
    random = torch.Generator().manual_seed(seed)
    shape = (IMAGES, WINDOWS, HEADS, PREFIX + TOKENS, PREFIX + TOKENS)
    weights = (torch.randn(shape, generator=random, dtype=torch.float64) * sharpness).softmax(-1)
    allowed = torch.rand(shape[1], *shape[3:], generator=random) < 0.7
    allowed |= torch.eye(shape[-1], dtype=torch.bool)
    allowed[1, PREFIX + 3, PREFIX:] = torch.arange(TOKENS) == 3
    allowed[2, -2:], allowed[2, :, -2:] = False, False
    weights[0, 0, 1, PREFIX + 2] = torch.eye(shape[-1], dtype=torch.float64)[0]
    weights[1, 2, 0, PREFIX] = torch.eye(shape[-1], dtype=torch.float64)[-1]
    positions = torch.rand(WINDOWS, shape[-1], 2, generator=random) * 100
    positions[:, :PREFIX] = torch.nan
    positions[2, -2:] = torch.nan
    return WindowAttention(4, 1, weights.to(dtype), positions, positions, allowed, PREFIX)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", ["windows", "g4_cls", "d4", "d6x4"])
def test_every_measure_is_its_definition(case, seed):
    """In float64, to rounding."""
    found = drawn(seed) if case == "windows" else attention(case)
    figures = of_name("rule").figures(found)
    images, _, heads, *_ = found.probabilities.shape
    for image in range(images):
        rows = [Rows(found, image, head) for head in range(heads)]
        for head in range(heads):
            for name, value in by_head(found, rows[head]).items():
                assert figures.heads[name][image, head].item() == pytest.approx(
                    value, rel=1e-9, abs=1e-9
                ), name
            for other in range(heads):
                for name, value in by_pair(rows[head], rows[other]).items():
                    assert figures.pairs[name][image, head, other].item() == pytest.approx(
                        value, rel=1e-9, abs=1e-9
                    ), name


@pytest.mark.parametrize("sharpness", [0.01, 1.0, 5.0])
def test_float32_is_float64_to_rounding(sharpness):
    """Of the same float32 weights. Sums over keys are in float32, everything after in float64: 2e-6
    of a measure's own scale is 16 of its last places."""
    random = torch.Generator().manual_seed(0)
    weights = torch.randn(1, 6, 197, 197, generator=random).mul(sharpness).softmax(dim=-1)
    one, other = (
        of_name("rule").figures(one_window(each, (14, 14), 1))
        for each in (weights, weights.double())
    )
    scales = {"distance": 116.5, "offset_x": 116.5, "offset_y": 116.5, "entropy": 5.3}
    for name, values in other.heads.items():
        torch.testing.assert_close(
            one.heads[name], values, rtol=0, atol=2e-6 * scales.get(name, 1), msg=name
        )
    for name, values in other.pairs.items():
        torch.testing.assert_close(one.pairs[name], values, rtol=2e-6, atol=2e-6, msg=name)


@pytest.mark.parametrize(
    ("side", "pitch", "distance", "entropy"),
    [
        (14, 16, 116.492, 5.2781),
        (16, 14, 116.565, 5.5452),
        (12, 4, 24.938, 4.9698),
        (12, 8, 49.876, 4.9698),
        (12, 16, 99.753, 4.9698),
        (6, 32, 98.570, 3.5835),
        (7, 4, 14.438, 3.8918),
        (7, 32, 115.503, 3.8918),
    ],
)
def test_uniform_attention(side, pitch, distance, entropy):
    tokens = side**2
    found = one_window(torch.full((1, 2, tokens, tokens), 1 / tokens).double(), (side, side))
    positions = grid_positions(side, side, pitch).unsqueeze(0)
    found = dataclasses.replace(found, query_positions=positions, key_positions=positions)
    figures = of_name("rule").figures(found)
    heads = {name: values[0, 1].item() for name, values in figures.heads.items()}
    assert heads["distance"] == pytest.approx(distance, abs=5e-4)
    assert heads["entropy"] == pytest.approx(entropy, abs=5e-5)
    for name, value in (("distance_relative", 1), ("entropy_relative", 1), ("nmi", 0)):
        assert heads[name] == pytest.approx(value, abs=1e-9)
    assert heads["offset_x"] == pytest.approx(0, abs=1e-9)
    assert figures.pairs["kl"].abs().max() < 1e-12
    assert figures.pairs["js"].abs().max() < 1e-12


def test_identity_attention():
    figures = of_name("rule").figures(
        one_window(torch.eye(16).double().expand(1, 2, -1, -1), (4, 4))
    )
    for name in ("distance", "distance_relative", "entropy", "entropy_relative", "offset_x"):
        assert figures.heads[name].abs().max() < 1e-12
    assert figures.heads["nmi"][0].tolist() == pytest.approx([1, 1])


def test_disjoint_heads_are_ln_2_apart_and_one_step_to_the_right_is_an_offset():
    """On a grid of one row that wraps around: its last query goes all the way back."""
    step = torch.roll(torch.eye(8), 1, dims=1).double()
    found = one_window(torch.stack([torch.eye(8).double(), step]).unsqueeze(0), (1, 8))
    figures = of_name("rule").figures(found)
    assert figures.pairs["js"][0, 0, 1].item() == pytest.approx(math.log(2))
    # Raised by 1e-8, one key in eight has 1 in one head and 1e-8 in the other.
    disjoint = math.log((1 + 1e-8) / 1e-8) / (1 + 8e-8)
    assert figures.pairs["kl"][0, 0, 1].item() == pytest.approx(disjoint, rel=1e-12)
    assert figures.heads["offset_x"][0].tolist() == pytest.approx([0, 0], abs=1e-12)
    first = dataclasses.replace(found, allowed=found.allowed.clone())
    first.allowed[:, -1] = False
    assert of_name("rule").figures(first).heads["offset_x"][0].tolist() == pytest.approx([0, 16])
    assert of_name("rule").figures(first).heads["offset_y"].abs().max() < 1e-12


def test_offset_down_is_positive():
    down = torch.zeros(1, 1, 4, 4).double()
    down[..., 2:] = 0.5
    heads = of_name("rule").figures(one_window(down, (2, 2))).heads
    assert heads["offset_y"].item() == pytest.approx(8)
    assert heads["offset_x"].item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["rule", "monitor", "clmim", "vitan", "lite"])
def test_permuted_heads_permute_the_figures_and_nothing_else(name):
    found = drawn(3) if name == "rule" else attention("g7_cls")
    heads = found.probabilities.shape[2]
    order = torch.randperm(heads, generator=torch.Generator().manual_seed(2))
    permuted = dataclasses.replace(found, probabilities=found.probabilities[:, :, order])
    before, after = of_name(name).figures(found), of_name(name).figures(permuted)
    for measure, values in before.heads.items():
        torch.testing.assert_close(after.heads[measure], values[:, order], rtol=1e-12, atol=1e-12)
    for measure, values in before.pairs.items():
        torch.testing.assert_close(
            after.pairs[measure], values[:, order][:, :, order], rtol=1e-11, atol=1e-11
        )
    for measure, values in before.block.items():
        torch.testing.assert_close(after.block[measure], values, rtol=1e-12, atol=1e-12)


def test_weight_on_what_is_not_allowed_changes_nothing_but_its_mass():
    found = drawn(5)
    moved = found.probabilities.clone()
    moved[..., :PREFIX] *= 3
    moved = torch.where(found.allowed[None, :, None], moved, moved * 7)
    # Rows that have nothing else are as empty before as after.
    other = dataclasses.replace(found, probabilities=moved / moved.sum(dim=-1, keepdim=True))
    one, two = clean(found), clean(other)
    torch.testing.assert_close(one.weights, two.weights, rtol=1e-12, atol=1e-15)
    assert (two.prefix_mass > one.prefix_mass).any()
    assert torch.equal(one.empty, two.empty)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cleaned_rows(dtype):
    found = drawn(6, dtype)
    cleaned = clean(found)
    places = layout(found)
    real = places.counts > 0
    sums = cleaned.weights.sum(dim=-1)
    torch.testing.assert_close(sums, real[None, :, None].to(dtype).expand_as(sums))
    assert cleaned.weights[(~places.allowed)[None, :, None].expand_as(cleaned.weights)].eq(0).all()
    assert cleaned.weights.dtype == dtype
    assert places.rows == WINDOWS * TOKENS - 2
    assert cleaned.empty.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_one_allowed_key_has_no_relative_measure():
    tokens = torch.eye(4, dtype=torch.bool)[None]
    found = one_window(torch.full((1, 1, 4, 4), 0.25), (2, 2))
    heads = of_name("rule").figures(dataclasses.replace(found, allowed=tokens)).heads
    assert heads["distance_relative"].isnan().all()
    assert heads["entropy_relative"].isnan().all()
    assert heads["distance"].item() == heads["entropy"].item() == 0
    assert heads["forbidden_mass"].item() == pytest.approx(0.75)


def test_all_queries_attend_to_one_key():
    one_key = torch.zeros(1, 1, 9, 9)
    one_key[..., 4] = 1
    assert of_name("rule").figures(one_window(one_key, (3, 3))).heads["nmi"].item() == 0


@pytest.mark.parametrize("limit", [1, 3000, 10**6])
def test_images_in_parts_of_any_size_are_the_same(limit, monkeypatch):
    found = drawn(7)
    whole = of_name("rule").figures(found)
    monkeypatch.setitem(rule._PART, "cpu", limit)
    parts = of_name("rule").figures(found)
    for one, other in ((whole.heads, parts.heads), (whole.pairs, parts.pairs)):
        for name, values in one.items():
            torch.testing.assert_close(other[name], values, rtol=1e-12, atol=1e-12)
