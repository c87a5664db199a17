"""Attention of an encoder over images: rows, errors, notes, refusals."""

import dataclasses
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import backbones
from harness.analysis.attention import measure
from harness.analysis.attention.conventions import of_name
from harness.analysis.images import Images
from harness.errors import UserError
from tests.harness.analysis.attention.definition import Rows, by_head, by_pair
from tests.harness.analysis.attention.reference import one_window
from tests.harness.analysis.attention.test_measures import drawn

PER_HEAD = {
    "distance",
    "distance_relative",
    "entropy",
    "entropy_relative",
    "nmi",
    "offset_x",
    "offset_y",
    "offset",
    "prefix_mass",
}


class Drawn(Images):
    """Noise; the first number of an image is its own number."""

    name, sha256 = "drawn", ""

    def __init__(self, n, size=(8, 8)):
        self.size = size
        self.pixels = torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(1))
        self.pixels[:, 0, 0, 0] = torch.arange(n)

    def __len__(self):
        return len(self.pixels)

    def read(self, index):
        raise AssertionError("these images come in batches, with numbers no byte holds")

    def batch(self, start, stop):
        return self.pixels[start:stop]


class Prescribed:
    """Gives every image, by its number, the attention that it was made with."""

    def __init__(self, *blocks):
        self.blocks = blocks
        self.spec = SimpleNamespace(name="prescribed")

    def attention_in_windows(self, images):
        numbers = images[:, 0, 0, 0].long()
        for found in self.blocks:
            yield dataclasses.replace(found, probabilities=found.probabilities[numbers])


def plain(n, heads, block, seed=0, grid=(4, 4), prefix=1, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    tokens = grid[0] * grid[1] + prefix
    logits = torch.randn(n, heads, tokens, tokens, generator=random, dtype=torch.float64) * 2
    return one_window(logits.softmax(dim=-1).to(dtype), grid, prefix, block)


def looked_at(backbone, images, batch_size=4, **options):
    seen = []
    found = measure(
        backbone,
        images,
        batch_size=batch_size,
        device="cpu",
        advance=lambda n=1, /, **_: seen.append(n),
        **options,
    )
    assert sum(seen) == len(images)
    return found


def value(found, measure, **where):
    """The one row of a measure at this place."""
    place = {"head": None, "other_head": None} | where
    rows = [
        row
        for row in found.rows
        if row.measure == f"attention.{measure}"
        and all(getattr(row, key) == wanted for key, wanted in place.items())
    ]
    assert len(rows) == 1
    return rows[0]


def test_rows_are_means_over_images_with_their_errors():
    n, heads = 7, 3
    blocks = [plain(n, heads, 0, seed=1), plain(n, heads, 1, seed=2)]
    found = looked_at(Prescribed(*blocks), Drawn(n))
    per_head = len(PER_HEAD) * (heads + 1)
    per_pair = 2 * (heads * (heads - 1) + 1)
    assert len(found.rows) == 2 * (per_head + per_pair)
    assert set(found.by_image) == {f"attention.{name}" for name in (*PER_HEAD, "kl", "js")}
    for block, attention in enumerate(blocks):
        figures = of_name("rule").figures(attention)
        for name in PER_HEAD - {"offset"}:
            values = figures.heads[name].numpy()
            assert np.allclose(found.by_image[f"attention.{name}"][:, block], values, atol=1e-12)
            for head in range(heads):
                row = value(found, name, block=block, head=head)
                assert row.n == n and row.stage == 0
                assert row.value == pytest.approx(values[:, head].mean())
                assert row.error == pytest.approx(values[:, head].std(ddof=1) / np.sqrt(n))
            row = value(found, name, block=block)
            assert row.value == pytest.approx(values.mean())
            assert row.error == pytest.approx(values.mean(axis=1).std(ddof=1) / np.sqrt(n))
        for name, pairs in figures.pairs.items():
            values = pairs.numpy()
            row = value(found, name, block=block, head=2, other_head=0)
            assert row.value == pytest.approx(values[:, 2, 0].mean())
            assert row.error == pytest.approx(values[:, 2, 0].std(ddof=1) / np.sqrt(n))
            means = values[:, ~np.eye(heads, dtype=bool)].mean(axis=1)
            assert np.allclose(found.by_image[f"attention.{name}"][:, block], means)
            assert value(found, name, block=block).value == pytest.approx(means.mean())
            assert value(found, name, block=block).error == pytest.approx(
                means.std(ddof=1) / np.sqrt(n)
            )


@pytest.mark.parametrize("convention", ["rule", "vitan"])
def test_offset_is_the_norm_of_the_mean(convention):
    """Its error is that of a jackknife, to the first order that both have in common."""
    n = 40
    leaning = plain(n, 2, 0)
    leaning.probabilities[..., -2:] *= 5
    leaning.probabilities.div_(leaning.probabilities.sum(dim=-1, keepdim=True))
    found = looked_at(Prescribed(leaning), Drawn(n), convention=convention)
    x, y = (found.by_image[f"attention.offset_{axis}"][:, 0] for axis in "xy")
    for head in range(2):
        row = value(found, "offset", block=0, head=head)
        both = np.stack([x[:, head], y[:, head]])
        assert row.value == pytest.approx(np.hypot(*both.mean(axis=1)))
        without = np.hypot(*((both.sum(axis=1, keepdims=True) - both) / (n - 1)))
        jackknife = np.sqrt((n - 1) * without.var())
        assert row.error == pytest.approx(jackknife, rel=0.05)


@pytest.mark.parametrize("convention", ["rule", "clmim", "vitan", "lite", "monitor"])
def test_batches_of_any_size_give_the_same(convention):
    """The attention being the same, to rounding of the means."""
    n = 5
    backbone = Prescribed(plain(n, 3, 0), plain(n, 3, 1, seed=4))
    one, other = (
        looked_at(backbone, Drawn(n), batch_size, convention=convention) for batch_size in (1, 16)
    )
    for a, b in zip(one.rows, other.rows, strict=True):
        assert a._replace(value=0, error=0) == b._replace(value=0, error=0)
        assert a.value == pytest.approx(b.value, rel=1e-12, abs=1e-12)
        assert a.error == pytest.approx(b.error, rel=1e-6, abs=1e-12)
    assert one.notes == other.notes


@pytest.mark.parametrize("name", ["simmim_vit_micro", "supervised_vit_micro"])
def test_batch_size_of_a_real_encoder(name):
    """Matrix products of other shapes may round otherwise in float32. 1e-4 relative to a measure's
    own scale is what six blocks make of that; KL, unbounded, magnifies the smallest weights."""
    backbone = backbones.load(name)
    images = Drawn(17, backbone.input_size)
    images.pixels[:, 0, 0, 0] = 0
    one, other = (looked_at(backbone, images, batch_size) for batch_size in (1, 16))
    for measure_name, values in one.by_image.items():
        scale = np.abs(values).max()
        assert np.abs(values - other.by_image[measure_name]).max() <= 1e-4 * scale, measure_name
    assert [row[:7] for row in one.rows] == [row[:7] for row in other.rows]


@pytest.mark.parametrize(
    ("family", "arch"),
    [
        ("vit", {"embed_dim": 12, "depth": 2, "num_heads": 3, "patch_size": 8}),
        ("swin", {"embed_dim": 6, "depths": (2, 1), "num_heads": (1, 2), "patch_size": 4}),
        ("swinv2", {"embed_dim": 6, "depths": (2, 1), "num_heads": (1, 2), "patch_size": 4}),
    ],
)
def test_encoders_against_the_definition(family, arch):
    """Untrained, at 32x48 pixels: Swin's second block is shifted. In float32, whose rounding over
    the keys of a row is far below 4e-6."""
    if family != "vit":
        arch = {**arch, "window_size": 4}
    backbone = backbones.create(family, arch, (32, 48), seed=0)
    images = Drawn(1, backbone.input_size)
    found = looked_at(backbone, images)
    with torch.no_grad():
        blocks = list(backbone.attention_in_windows(images.batch(0, 1)))
    assert {row.block for row in found.rows} == set(range(len(blocks)))
    for attention in blocks:
        place = {"block": attention.block}
        rows = [Rows(attention, 0, head) for head in range(attention.probabilities.shape[2])]
        for head, of_head in enumerate(rows):
            measured = by_head(attention, of_head)
            for name in PER_HEAD - {"offset"}:
                of_row = value(found, name, head=head, **place).value
                assert of_row == pytest.approx(measured[name], rel=4e-6, abs=4e-6), name
            for other, of_other in enumerate(rows):
                for name, wanted in by_pair(of_head, of_other).items():
                    if other != head:
                        of_row = value(found, name, head=head, other_head=other, **place).value
                        assert of_row == pytest.approx(wanted, rel=4e-6, abs=4e-6), name


def test_blocks_with_other_numbers_of_heads():
    n = 3
    windows = dataclasses.replace(drawn(0), block=1, stage=1)
    windows = dataclasses.replace(
        windows, probabilities=windows.probabilities[:1].expand(n, -1, -1, -1, -1)
    )
    found = looked_at(Prescribed(plain(n, 1, 0), windows), Drawn(n))
    distances = found.by_image["attention.distance"]
    assert distances.shape == (n, 2, 3)
    assert np.isnan(distances[:, 0, 1:]).all() and not np.isnan(distances[:, 1]).any()
    assert np.isnan(found.by_image["attention.kl"][:, 0]).all()
    assert value(found, "kl", block=1).stage == 1
    assert not [row for row in found.rows if row.measure == "attention.kl" and row.block == 0]
    assert "There are no pairs of heads in block 0: it has one head." in found.notes


def test_notes_tell_what_was_dropped():
    n = 2
    windows = dataclasses.replace(drawn(0), block=0)
    found = " ".join(looked_at(Prescribed(windows), Drawn(n)).notes)
    mass = value(looked_at(Prescribed(windows), Drawn(n)), "prefix_mass", block=0).value
    assert f"{mass:.3%} of the attention of patches is on prefix tokens (most in block 0" in found
    assert "on padding and pairs that rolling made neighbours" in found
    assert f"2 of {n * 3 * 25} attention rows had no weight left" in found
    without = " ".join(looked_at(Prescribed(plain(n, 2, 0, prefix=0)), Drawn(n)).notes)
    assert "dropped" not in without


def test_one_image_has_no_error():
    found = looked_at(Prescribed(plain(1, 2, 0)), Drawn(1))
    assert {row.error for row in found.rows} == {None}
    assert {row.n for row in found.rows} == {1}


def test_what_is_not_defined_is_left_out_and_said():
    alone = dataclasses.replace(
        plain(2, 2, 0, prefix=0), allowed=torch.eye(16, dtype=torch.bool)[None]
    )
    found = looked_at(Prescribed(alone), Drawn(2))
    names = {row.measure for row in found.rows}
    assert "attention.entropy" in names and "attention.entropy_relative" not in names
    said = "entropy_relative is left out in block 0: every query has one allowed key."
    assert said in found.notes


@pytest.mark.parametrize(
    ("convention", "names"),
    [
        ("clmim", {"distance", "nmi"}),
        ("lite", {"distance", "entropy"}),
        ("monitor", {"entropy", "kl", "head_divergence"}),
        (
            "vitan",
            {
                "distance",
                "offset_x",
                "offset_y",
                "offset",
                "stdev_over_token_pos",
                "stdev_over_head",
                "spatial_cls_att",
            },
        ),
    ],
)
def test_other_conventions_have_their_own_measures(convention, names):
    found = looked_at(Prescribed(plain(3, 3, 0)), Drawn(3), convention=convention)
    assert {row.measure for row in found.rows} == {f"attention.{name}" for name in names}
    assert f"Convention {convention}" in found.notes[0]
    assert "all other measures are left out" in found.notes[-1]


def test_a_convolutional_encoder_is_told_what_it_has():
    arch = {"dims": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}
    backbone = backbones.create("convnext", arch, 32, seed=0)
    message = "no attention to look at.*measures similarity, spectrum and probe"
    with pytest.raises(UserError, match=message):
        looked_at(backbone, Drawn(2, (32, 32)))


def test_refusals():
    with pytest.raises(UserError, match="no images in drawn"):
        looked_at(Prescribed(plain(1, 1, 0)), Drawn(0))
    with pytest.raises(UserError, match="no convention 'mean'; known: rule"):
        looked_at(Prescribed(plain(1, 1, 0)), Drawn(1), convention="mean")
    broken = plain(2, 2, 3)
    broken.probabilities[0, 0, 1, 4] = torch.nan
    with pytest.raises(UserError, match="the attention of block 3 is not finite"):
        looked_at(Prescribed(broken), Drawn(2))
    with pytest.raises(UserError, match="4x6; choose a square --input-size, or take --convention"):
        looked_at(Prescribed(plain(1, 2, 0, grid=(4, 6))), Drawn(1), convention="lite")


def test_importing_the_package_imports_no_torch():
    code = "import sys, harness.analysis.attention; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
