"""Cells and targets of SwinTrack's own label generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.tracking.labels import shares, touched

FIXTURE = Path(__file__).parents[2] / "fixtures/recipes/targets/swintrack_crop_labels.json"
KINDS = {
    "label_of_jittered": "search_jittered_torch_seed_3",
    "label_unjittered": "label_unjittered",
}


def published() -> list[tuple[tuple[int, int], list[float], dict[str, Any]]]:
    """Size of the search image, its clipped box and what was made of it."""
    cases = json.loads(FIXTURE.read_text())["cases"]
    return [
        (tuple(case["search"]["size"]), case[place]["clipped_box_in_crop"], case[kind])
        for case in cases
        for kind, place in KINDS.items()
    ]


def test_cells_and_targets_are_the_published_ones() -> None:
    found = published()
    assert len(found) >= 8 and {size for size, _, _ in found} == {(224, 224), (384, 384)}
    for (height, width), box, expected in found:
        boxes = torch.tensor([box], dtype=torch.float64)
        cells = touched(boxes, (height // 16, width // 16), 16)
        assert cells.flatten().nonzero().flatten().tolist() == expected["positive_cells"]
        target = shares(boxes, (height, width))[0].tolist()
        # The published target is float32.
        assert target == pytest.approx(expected["target_box_cxcywh_01"], abs=1e-6)


def test_rows_and_columns_are_not_exchanged() -> None:
    """One cell of a wide map: the second row's fifth."""
    boxes = torch.tensor([[66.0, 20.0, 70.0, 30.0]])
    cells = touched(boxes, (3, 7), 16)
    assert cells.nonzero().tolist() == [[0, 1, 4]]
    expected = [68 / 112, 25 / 48, 4 / 112, 10 / 48]
    assert shares(boxes, (48, 112))[0].tolist() == pytest.approx(expected)


def test_ends_on_borders_and_outside() -> None:
    """A box that ends on a border touches the next cell; cells outside the map are none."""
    boxes = torch.tensor([[16.0, 16.0, 32.0, 32.0], [-8.0, -8.0, 8.0, 64.0], [80, 80, 90, 90.0]])
    cells = touched(boxes, (4, 4), 16)
    assert cells[0].nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert cells[1].nonzero().tolist() == [[y, 0] for y in range(4)]
    assert not cells[2].any()
