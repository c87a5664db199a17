"""Masks against outputs of the published code (fixtures/recipes/masks)."""

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import load_file

from tasks.pretraining import masks
from tasks.pretraining.recipe import MaskRecipe

FOLDER = Path(__file__).parents[2] / "fixtures/recipes/masks"
SIMMIM: list[dict[str, Any]] = json.loads((FOLDER / "simmim.json").read_text())
MAE: list[dict[str, Any]] = json.loads((FOLDER / "mae_random_masking.json").read_text())
ARRAYS = load_file(FOLDER / "mae_random_masking.safetensors")


@pytest.mark.parametrize("row", SIMMIM, ids=lambda r: f"{r['input_size']}-{r['model_patch_size']}")
def test_simmim_masks_are_the_published_ones_for_the_same_random_stream(
    row: dict[str, Any],
) -> None:
    recipe = MaskRecipe(name="simmim", ratio=row["mask_ratio"], unit=row["mask_patch_size"])
    size = (row["input_size"], row["input_size"])
    stream = cast(np.random.Generator, np.random.RandomState(row["numpy_seed"]))
    for units in row["first_three_masks_unit_indices"]:
        mask = masks.draw(recipe, size, row["model_patch_size"], stream)
        assert list(mask.shape) == row["mask_shape"]
        repeat = row["mask_patch_size"] // row["model_patch_size"]
        blocks = mask.reshape(row["units"][0], repeat, row["units"][1], repeat)
        assert (blocks == blocks[:, :1, :, :1]).all()
        assert np.flatnonzero(blocks[:, 0, :, 0]).tolist() == units


@pytest.mark.parametrize("row", SIMMIM[:2], ids=lambda r: str(r["input_size"]))
def test_simmim_counts_and_marginals(row: dict[str, Any]) -> None:
    rng, draws = np.random.default_rng(1), 4000
    grid = tuple(row["units"])
    drawn = np.stack([masks.simmim(grid, row["mask_ratio"], rng) for _ in range(draws)])
    assert set(drawn.sum(axis=(1, 2))) == {row["distinct_counts_units_patches"][0][0]}
    p = row["expected_p"]
    # 4.5 standard deviations of a frequency: passed by chance 49 times in 3000 without a fault.
    assert np.abs(drawn.mean(axis=0) - p).max() < 4.5 * math.sqrt(p * (1 - p) / draws)
    pairs = (drawn[:, :, 1:] & drawn[:, :, :-1]).sum(axis=(1, 2)).mean()
    assert abs(pairs - row["expected_horizontal_pairs"]) < 0.15


@pytest.mark.parametrize("row", MAE, ids=lambda r: r["key"])
def test_mae_masking_is_the_published_one_for_the_same_noise(row: dict[str, Any]) -> None:
    key = row["key"]
    ratio = float(key.split("_r")[1])
    for k, noise in enumerate(ARRAYS[f"{key}.noise"]):
        drawn = masks.random_masking(noise, ratio)
        assert drawn.kept.tolist() == ARRAYS[f"{key}.kept"][k].tolist()
        assert drawn.restore.tolist() == ARRAYS[f"{key}.ids_restore"][k].tolist()
        assert drawn.hidden.tolist() == ARRAYS[f"{key}.mask"][k].astype(bool).tolist()


def test_mae_masks_in_a_grid() -> None:
    recipe = MaskRecipe(name="mae", ratio=0.75, unit=16)
    mask = masks.draw(recipe, (224, 112), 16, np.random.default_rng(0))
    assert mask.shape == (14, 7)
    assert (~mask).sum() == int(98 * 0.25)


def test_fixed_masks_depend_on_the_index_alone() -> None:
    recipe = MaskRecipe(name="simmim", ratio=0.6, unit=32)

    def mask(index: int) -> bytes:
        return masks.draw(recipe, (128, 128), 16, masks.fixed_generator(index)).tobytes()

    assert mask(3) == mask(3)
    assert len({mask(k) for k in range(30)}) > 25
