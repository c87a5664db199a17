"""A planted signal is found where it was planted, and nothing where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import backbones
from harness.analysis.grids import Grid
from harness.analysis.probing import PROBES, Source, measure
from harness.analysis.probing.data import batches
from harness.analysis.probing.dense import DepthTarget, PoseTarget
from harness.analysis.rows import Found
from harness.errors import UserError
from tests.harness.analysis.probing.worlds import GRID, Planted, permuted, source, splits


@pytest.fixture(scope="module")
def world() -> Source:
    return source()


@pytest.fixture(scope="module")
def found(world: Source) -> Found:
    return run(Planted(world, 1), world)


def run(backbone: Any, world: Source, batch_size: int = 16) -> Found:
    seen = 0

    def advance(n: int = 1, /, **_: Any) -> None:
        nonlocal seen
        seen += n

    found = measure(
        backbone,
        source=world,
        batch_size=batch_size,
        device=torch.device("cpu"),
        advance=advance,
    )
    assert seen == len(world)
    return found


def value(found: Found, name: str, block: int | None = None) -> float:
    (only,) = [row for row in found.rows if row.measure == name and row.block == block]
    return only.value


def at_chance(found: Found, block: int) -> None:
    """Of 10 equally frequent classes a guess has 0.1, with a deviation of 0.067 over 20 images: 4
    of them above it is no guess. The others are measured against the constant on the same images.
    """
    for name in ("probe.knn", "probe.linear"):
        assert value(found, name, block) < 0.1 + 4 * 0.067
    assert value(found, "probe.pose", block) < value(found, "probe.pose_constant") + 0.05
    assert value(found, "probe.depth", block) > 0.95 * value(found, "probe.depth_constant")


def test_the_planted_block_is_the_peak_of_every_probe(found: Found) -> None:
    for name in PROBES:
        assert value(found, f"{name}_peak") == pytest.approx(2 / 3), name
        low, high = value(found, f"{name}_peak_low"), value(found, f"{name}_peak_high")
        assert low == high == pytest.approx(2 / 3), name
    assert value(found, "probe.linear", 1) > 0.9
    assert value(found, "probe.knn", 1) > 0.9
    assert value(found, "probe.pose", 1) > 0.9
    # What is left is what cells of 4 px cannot tell of the pixels.
    assert value(found, "probe.depth", 1) < 0.5 * value(found, "probe.depth_constant")


def test_noise_is_not_above_chance(found: Found) -> None:
    for block in (0, 2):
        at_chance(found, block)


def test_rows_are_means_over_the_test_samples(found: Found, world: Source) -> None:
    for name, split in zip(
        PROBES, (world.classification, world.classification, world.depth, world.pose), strict=True
    ):
        scores = found.by_image[name]
        assert split is not None and scores.shape == (len(split.test), 3)
        rows = [row for row in found.rows if row.measure == name]
        assert [row.block for row in rows] == [0, 1, 2]
        np.testing.assert_allclose([row.value for row in rows], scores.mean(0))
        errors = scores.std(0, ddof=1) / np.sqrt(len(scores))
        np.testing.assert_allclose([row.error for row in rows], errors)


def test_permuted_labels_leave_nothing(world: Source) -> None:
    assert world.classification and world.depth and world.pose
    mixed = Source(permuted(world.classification), permuted(world.depth), permuted(world.pose))
    told = run(Planted(world, 1), mixed)
    at_chance(told, 1)


def test_batches_and_repetition_change_nothing(found: Found, world: Source) -> None:
    again = run(Planted(world, 1), world)
    assert again.rows == found.rows
    other = run(Planted(world, 1), world, batch_size=7)
    np.testing.assert_allclose(
        [row.value for row in other.rows], [row.value for row in found.rows], rtol=1e-6
    )


def test_an_encoder_of_our_own_in_any_batches() -> None:
    backbone = backbones.load("supervised_vit_micro", input_size=32).eval()
    some = Source(depth=splits("depth", "data.limit=6"), pose=splits("pose", "data.limit=6"))
    one, other = run(backbone, some, 1), run(backbone, some, 16)
    # The encoder's rounding in float32, and of the pose that of a maximum's refinement.
    np.testing.assert_allclose(
        one.by_image["probe.depth"], other.by_image["probe.depth"], rtol=1e-4
    )
    np.testing.assert_allclose(one.by_image["probe.pose"], other.by_image["probe.pose"], atol=1e-3)
    assert {row.measure.split("_")[0] for row in one.rows} == {"probe.depth", "probe.pose"}


def test_values_that_are_not_finite_are_refused(world: Source) -> None:
    backbone = Planted(world, 1)
    tokens = backbone.blocks

    def broken(images: torch.Tensor) -> list[torch.Tensor]:
        found = tokens(images)
        found[2][0, 3, 0] = torch.nan
        return found

    backbone.blocks = broken  # type: ignore[method-assign]
    with pytest.raises(UserError, match="block 2 of planted gives values that are not finite"):
        run(backbone, world)


@pytest.mark.parametrize("grid", [GRID, Grid(0, 3, 3, 12), Grid(0, 32, 32, 1)])
def test_the_true_heat_maps_give_the_true_poses(world: Source, grid: Grid) -> None:
    """Also where the cells reach over the input's edge. Of joints at the crop's edge a part of the
    Gaussian is cut off, which moves what is decoded."""
    target = PoseTarget(world.pose)  # type: ignore[arg-type]
    (batch,) = batches(target.splits.test, 100)
    cells, known = target.cells(batch, grid)
    assert known.all() and cells.shape[1] == grid.rows * grid.columns
    points = batch["keypoints"].numpy()
    inside = ((points > 2) & (points < 29)).all((1, 2))
    assert inside.sum() > 10
    assert target.score(batch, cells, grid)[inside].min() > 0.97


@pytest.mark.parametrize("grid", [GRID, Grid(0, 3, 3, 12)])
def test_a_cell_has_the_mean_of_its_pixels_that_count(world: Source, grid: Grid) -> None:
    target = DepthTarget(world.depth)  # type: ignore[arg-type]
    (batch,) = batches(target.splits.test, 2 + len(target.splits.test))
    batch["depth"][:, :5, :6] = 0.0
    cells, known = target.cells(batch, grid)
    for image in (0, 3):
        for cell in range(grid.rows * grid.columns):
            top, left = (grid.stride * each for each in divmod(cell, grid.columns))
            pixels = batch["depth"][image, top : top + grid.stride, left : left + grid.stride]
            counted = pixels[(pixels > 1e-3) & (pixels < 10)].double()
            assert bool(known[image, cell]) == (len(counted) > 0)
            if len(counted):
                assert float(cells[image, cell, 0]) == pytest.approx(float(counted.mean()))


def test_the_truth_by_pixel_has_no_error() -> None:
    found = splits("depth")
    target, grid = DepthTarget(found), Grid(0, 32, 32, 1)
    (batch,) = batches(found.test, 100)
    cells, _ = target.cells(batch, grid)
    assert target.score(batch, cells, grid).max() < 1e-6
