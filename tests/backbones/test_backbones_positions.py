"""Tables for other sizes, where no published code has an answer to compare with."""

import pytest
import torch

from backbones import LoadError
from backbones.families.positions import grid_of, resize_absolute, resize_relative


def test_an_axis_that_does_not_change_keeps_its_offsets():
    table = torch.rand(11 * 11 + 3, 2, generator=torch.Generator().manual_seed(0))
    wider = resize_relative(table, (6, 6), (6, 9))
    assert wider.shape == (11 * 17 + 3, 2)
    old, new = table[:-3].view(11, 11, 2), wider[:-3].view(11, 17, 2)
    # Offset 0 of the other axis is a knot of the spline, so nothing is interpolated there.
    assert torch.allclose(new[:, 8], old[:, 5], atol=1e-5)
    assert torch.equal(wider[-3:], table[-3:])
    higher = resize_relative(table.clone(), (6, 6), (9, 6))[:-3].view(17, 11, 2)
    assert torch.allclose(higher[8], old[5], atol=1e-5)


def test_a_table_too_small_for_the_rule_is_refused():
    with pytest.raises(LoadError, match="needs at least 3x3"):
        resize_relative(torch.zeros(3 * 3 + 3, 2), (2, 2), (4, 4))


def test_absolute_tables_keep_prefix_and_orientation():
    rows = torch.arange(6.0).view(6, 1).expand(6, 4).reshape(1, 24, 1)
    table = torch.cat([torch.full((1, 2, 1), 99.0), rows], dim=1)
    resized = resize_absolute(table, 2, (6, 4), (12, 8), "bicubic")
    assert resized[0, :2].tolist() == [[99.0], [99.0]]
    grid = resized[0, 2:].view(12, 8)
    assert (grid - grid[:, :1]).abs().max() < 1e-5
    assert (grid[1:-1, 0].diff() > 0).all()


def test_grids_cover_the_image():
    assert grid_of((48, 33), 16) == (3, 3)
