"""Windows over wide images, against what the published loop gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tasks.depth import recipe, windows

FILE = Path(__file__).parents[2] / "fixtures/recipes/evaluation_procedures/depth_windows.json"
CASES: dict[str, Any] = json.loads(FILE.read_text())


def settings(case: dict[str, Any], uncovered: str = "published") -> recipe.TestRecipe:
    given = {"windows": case["shift_size"], "uncovered": uncovered, "size": case["image_hw"]}
    return recipe.TestRecipe.model_validate(given)


def columns(width: int) -> Tensor:
    return torch.arange(float(width)).expand(1, 1, 2, width)


@pytest.mark.parametrize("name", CASES)
def test_published(name: str) -> None:
    case = CASES[name]
    (_, width), side = case["image_hw"], case["window_size"]
    lefts = windows.edges(width, side, settings(case))
    assert lefts == windows.left_edges(width, side, case["shift_size"])
    assert lefts == case["window_left_columns"]
    views = windows.cut(columns(width), lefts, side)
    assert views.shape == (1, len(lefts), 1, 2, side)
    assert views.flip(-1)[0, :, 0, 0, 0].tolist() == case["first_column_of_mirrored_windows"]
    uncovered = case["uncovered_columns"]
    same = windows.join(views, lefts, width)[0, 0, 0]
    expected = columns(width)[0, 0, 0].clone()
    expected[uncovered] = windows.UNCOVERED
    torch.testing.assert_close(same, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", CASES)
def test_published_flip(name: str) -> None:
    """A net that adds the column inside the window: the stored row is the mean of both views."""
    case = CASES[name]
    (_, width), side = case["image_hw"], case["window_size"]
    lefts = windows.edges(width, side, settings(case))
    views, inside = windows.cut(columns(width), lefts, side), torch.arange(float(side))
    plain, mirrored = views + inside, (views.flip(-1) + inside).flip(-1)
    row = windows.join((plain + mirrored) / 2, lefts, width)[0, 0, 1]
    stored = case["row_for_net_value_plus_column_in_window"]
    known = [windows.UNCOVERED if value == "NaN" else value for value in stored]
    torch.testing.assert_close(row, torch.tensor(known), rtol=1e-6, atol=0)


def test_overlaps_are_means() -> None:
    views = torch.zeros(1, 2, 1, 1, 4)
    views[:, 1] = 6
    found = windows.join(views, [0, 2], 6)
    assert found.flatten().tolist() == [0, 0, 3, 3, 6, 6]


def test_corrected_covers_every_column() -> None:
    case = CASES["kitti"]
    lefts = windows.edges(1216, 352, settings(case, "corrected"))
    assert lefts == [*case["window_left_columns"], 1216 - 352]
    same = windows.join(windows.cut(columns(1216), lefts, 352), lefts, 1216)
    torch.testing.assert_close(same, columns(1216), rtol=1e-6, atol=0)
    nyu = CASES["nyuv2"]
    assert windows.edges(640, 480, settings(nyu, "corrected")) == [0, 160]


def test_images_of_the_inputs_size_are_one_window() -> None:
    assert windows.edges(352, 352, settings(CASES["kitti"])) == [0]
    whole = columns(352)
    assert torch.equal(windows.join(windows.cut(whole, [0], 352), [0], 352), whole)
