from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tasks.tracking.crops import Window
from tasks.tracking.matching import Response
from tasks.tracking.postprocess import choose, hann, in_crop, kept

FIXTURES = Path(__file__).parents[2] / "fixtures" / "recipes" / "targets"
SIZE = (224, 224)


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / "swintrack_post.json").read_text())
    return found


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return load_file(FIXTURES / "swintrack_post.safetensors")


@pytest.mark.parametrize("side", [14, 24])
def test_the_window_is_the_reference_one(tensors: dict[str, torch.Tensor], side: int) -> None:
    window = hann(side, side, torch.device("cpu"))
    assert torch.equal(window, tensors[f"out_hann_{side}"])


def test_the_window_ends_in_zero_and_is_symmetric() -> None:
    window = hann(7, 4, torch.device("cpu"))
    assert window.shape == (7, 4)
    assert window[3, 0] == 0
    torch.testing.assert_close(window, window.flip(0, 1))


@pytest.mark.parametrize("suffix,window", [("", 0.49), ("_no_window", 0.0)])
def test_boxes_and_confidences_are_the_reference_ones(
    tensors: dict[str, torch.Tensor], suffix: str, window: float
) -> None:
    response = Response(tensors["class_score"][:, 0], tensors["bbox"])
    found = choose(response, window)
    assert torch.equal(found.boxes, tensors[f"out_bbox{suffix}"])
    assert torch.equal(found.confidences, tensors[f"out_conf{suffix}"])
    if not window:
        assert torch.equal(found.scores, found.confidences)


def test_the_first_of_equal_cells_is_taken() -> None:
    scores = torch.full((2, 14, 14), 0.5)
    boxes = torch.arange(2 * 14 * 14 * 4).reshape(2, 14, 14, 4).float()
    # Four cells are in the middle of the window, one of them first: row 6, column 6.
    assert torch.equal(choose(Response(scores, boxes), 0.49).boxes, boxes[:, 6, 6])
    assert torch.equal(choose(Response(scores, boxes), 0.0).boxes, boxes[:, 0, 0])


def test_boxes_go_to_the_image_and_the_next_ones_are_kept_as_in_the_reference(
    reference: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> None:
    found = choose(Response(tensors["class_score"][:, 0], tensors["bbox"]), 0.49)
    width, height = reference["image_wh"]
    for frame, box in zip(reference["frames"], found.boxes.double().numpy(), strict=True):
        last = np.array(frame["previous_box"])
        window = window_of(last, 4.0)
        in_image = window.to_image(in_crop(box, SIZE))
        expected = frame["box_in_image_unclipped_reported"]
        np.testing.assert_allclose(in_image, expected, rtol=0, atol=1e-11)
        after = kept(in_image, last, (height, width), 0.5)
        np.testing.assert_allclose(after, frame["next_centre_box"], rtol=0, atol=1e-11)


def test_rules_for_the_kept_box_are_the_reference_ones(reference: dict[str, Any]) -> None:
    width, height = reference["image_wh"]
    last = np.array([100.0, 80.0, 180.0, 200.0])
    cases = reference["update_rules_from_box_100_80_180_200"]
    assert len(cases) == 6
    for case in cases:
        after = kept(np.array(case["predicted"]), last, (height, width), 0.5)
        np.testing.assert_array_equal(after, case["cached_after"])
        window = window_of(after, 4.0)
        found = np.stack((window.scale, window.source, window.target))
        np.testing.assert_allclose(found, case["next_curation"], rtol=0, atol=1e-12)


def window_of(box: np.ndarray[Any, Any], factor: float) -> Window:
    xywh = np.concatenate((box[:2], box[2:] - box[:2]))
    return Window.of(xywh, factor, SIZE, 10.0)
