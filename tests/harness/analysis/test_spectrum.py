"""The Fourier profile against the public code's outputs and closed forms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.analysis.spectrum import EPS, log_amplitudes, measure, profile
from tests.harness.analysis.similarity.test_measuring import Noise, encoder, nothing

FOLDER = Path("tests/fixtures/analysis/fourier")
INPUTS = np.load(FOLDER / "inputs.npz")
EXPECTED = np.load(FOLDER / "expected.npz")
SQUARE = {"g14_c8": 14, "g7_c16": 7, "g4_c24": 4}
CONSTANT = 1
"""The latent that is a constant map: it measures the floor of 1e-6 and rounding."""


def maps(case: str, latent: int, rows: int, columns: int) -> torch.Tensor:
    tokens = torch.from_numpy(INPUTS[case][latent]).double()[:, 1:]
    return tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns)


@pytest.mark.parametrize("case", SQUARE)
def test_profiles_equal_the_public_code(case: str) -> None:
    side = SQUARE[case]
    expected = EXPECTED[f"{case}.f64.relative_log_amplitude"]
    for latent, line in enumerate(expected):
        amplitudes = log_amplitudes(maps(case, latent, side, side))
        found = profile(amplitudes.mean(dim=0, keepdim=True))[0].numpy()
        assert np.abs(found - line).max() < (1e-8 if latent == CONSTANT else 1e-9)
        whole = EXPECTED[f"{case}.f64.log_amplitude_map"][latent]
        rolled = torch.roll(amplitudes.mean(dim=0), (side // 2, side // 2), (0, 1)).numpy()
        assert np.abs(rolled - whole).max() < (1e-8 if latent == CONSTANT else 1e-9)


def test_a_map_that_is_not_square_is_not_taken_for_one() -> None:
    """The public code reads 9x4 cells as 6x6."""
    amplitudes = log_amplitudes(maps("g9x4", 0, 9, 4)).mean(dim=0, keepdim=True)
    found = profile(amplitudes)[0]
    assert len(found) == 2
    # Frequency 1/4 of the sampling rate: entry 1 of 4 columns, 9/4 of 9 rows.
    between = 0.75 * amplitudes[0, 2, 1] + 0.25 * amplitudes[0, 3, 1]
    assert found[1].item() == pytest.approx(float(between - amplitudes[0, 0, 0]), abs=1e-12)


def test_a_wave_along_both_axes_stands_at_its_frequency() -> None:
    y, x = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    wave = 1 + np.cos(2 * math.pi * 2 * (x + y) / 8)
    found = profile(log_amplitudes(torch.from_numpy(wave).view(1, 1, 8, 8)))[0]
    floor = math.log(EPS) - math.log(64)
    assert found.tolist() == pytest.approx([0, floor, math.log(0.5), floor], abs=1e-6)


def test_scale_changes_nothing_but_at_the_floor() -> None:
    values = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0)).double()
    first, second = (profile(log_amplitudes(factor * values)) for factor in (1, 1000))
    assert torch.allclose(first, second, atol=1e-4)


def test_rows_are_means_over_images_whatever_the_batch_size() -> None:
    backbone = encoder({"embed_dim": 12, "depth": 2, "num_heads": 2, "patch_size": 4})
    found = measure(backbone, Noise(6), batch_size=6, device="cpu", advance=nothing)
    rows = [r for r in found.rows if r.measure == "spectrum.amplitude"]
    assert [(r.block, r.frequency) for r in rows] == [
        (block, k / 4) for block in range(2) for k in range(4)
    ]
    highest = found.by_image["spectrum.high_frequency"]
    assert highest.shape == (6, 2)
    for r in found.rows:
        if r.measure == "spectrum.high_frequency":
            column = highest[:, r.block]
            assert r.value == pytest.approx(column.mean(), abs=1e-12)
            assert r.error == pytest.approx(column.std(ddof=1) / math.sqrt(6), abs=1e-12)
    single = measure(backbone, Noise(6), batch_size=1, device="cpu", advance=nothing)
    # Rounding of the encoder in float32.
    assert np.allclose(single.by_image["spectrum.high_frequency"], highest, atol=1e-4)
